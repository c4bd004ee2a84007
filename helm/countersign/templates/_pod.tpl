{{/* What every pod of the chart has in common: restricted pod security, no token, no writable root. */}}
{{- define "countersign.podSecurity" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  {{- /* Not again at each start: a volume of many files would take minutes, and keys must stay closed to others. */}}
  {{- $context := dict "runAsNonRoot" true "runAsUser" 65532 "runAsGroup" 65532 "fsGroup" 65532 "fsGroupChangePolicy" "OnRootMismatch" }}
  {{- $_ := set $context "seccompProfile" (dict "type" "RuntimeDefault") }}
  {{- mergeOverwrite $context .Values.podSecurityContext | toYaml | nindent 2 }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "countersign.containerSecurity" -}}
image: {{ include "countersign.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  {{- $context := dict "allowPrivilegeEscalation" false "readOnlyRootFilesystem" true "capabilities" (dict "drop" (list "ALL")) }}
  {{- mergeOverwrite $context .Values.securityContext | toYaml | nindent 2 }}
{{- end }}

{{/* Everything that a process with the whole configuration reads. */}}
{{- define "countersign.mounts" -}}
- name: config
  mountPath: /etc/countersign/config
  readOnly: true
{{- if not (include "countersign.storedKeys" .) }}
- name: signing-keys
  mountPath: /etc/countersign/keys/signing
  readOnly: true
- name: refresh-keys
  mountPath: /etc/countersign/keys/refresh
  readOnly: true
{{- end }}
{{- if include "countersign.secretSources" . }}
- name: secrets
  mountPath: /etc/countersign/secrets
  readOnly: true
{{- end }}
{{- if include "countersign.embedded" . }}
- name: data
  mountPath: /var/lib/countersign
{{- end }}
{{- range tuple "grpc" "edge" "operations" }}
{{- $tls := index $.Values.tls . }}
{{- if $tls.enabled }}
- name: tls-{{ . }}
  mountPath: /etc/countersign/tls/{{ . }}
  readOnly: true
{{- if $tls.clientCaSecret }}
- name: tls-{{ . }}-clients
  mountPath: /etc/countersign/tls/{{ . }}-clients
  readOnly: true
{{- end }}
{{- end }}
{{- end }}
{{- include "countersign.storeMounts" . }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The certificates for databases and Redis. */}}
{{- define "countersign.storeMounts" -}}
{{- range tuple "database" "redis" }}
{{- if (index $.Values .).tls.existingSecret }}
- name: tls-{{ . }}
  mountPath: /etc/countersign/tls/{{ . }}
  readOnly: true
{{- end }}
{{- end }}
{{- end }}

{{- define "countersign.storeVolumes" -}}
{{- range $store := tuple "database" "redis" }}
{{- with (index $.Values $store).tls.existingSecret }}
{{ include "countersign.secretVolume" (list (printf "tls-%s" $store) . nil) }}
{{- end }}
{{- end }}
{{- end }}

{{/* 288 is 0440, and never 0444: keys that anybody may read are refused. Files belong to the pod's fsGroup. */}}
{{- define "countersign.secretVolume" -}}
- name: {{ index . 0 }}
  secret:
    secretName: {{ index . 1 | quote }}
    defaultMode: 288
{{- with index . 2 }}
    items:
      {{- range . }}
      - key: {{ . | quote }}
        path: {{ . }}
      {{- end }}
{{- end }}
{{- end }}

{{/* The Secrets that hold one value each, as files of one volume. */}}
{{- define "countersign.secretSources" -}}
{{- $secrets := dict "edge-clients" .Values.edge.clients "captcha" .Values.captcha.existingSecret }}
{{- if include "countersign.storedKeys" . }}
{{- $_ := set $secrets "key-encryption-key" .Values.keys.encryptionKey }}
{{- $_ := set $secrets "previous-key-encryption-key" .Values.keys.previousEncryptionKey }}
{{- end }}
{{- $_ := set $secrets "redis-url" .Values.redis.existingSecret }}
{{- $_ := set $secrets "redis-sentinel-password" .Values.redis.sentinelPassword }}
{{- if not (include "countersign.embedded" .) }}{{ $_ := set $secrets "database-url" .Values.database.existingSecret }}{{ end }}
{{- range $path, $secret := $secrets }}
{{- if $secret.name }}
- secret:
    name: {{ $secret.name | quote }}
    items:
      - key: {{ $secret.key | quote }}
        path: {{ $path }}
{{- end }}
{{- end }}
{{- end }}

{{- define "countersign.volumes" -}}
- name: config
  configMap:
    name: {{ include "countersign.fullname" . | quote }}
{{- if not (include "countersign.storedKeys" .) }}
{{ include "countersign.secretVolume" (list "signing-keys" (include "countersign.signingSecret" .) nil) }}
{{ include "countersign.secretVolume" (list "refresh-keys" (include "countersign.refreshSecret" .) nil) }}
{{- end }}
{{- with include "countersign.secretSources" . | trim }}
- name: secrets
  projected:
    defaultMode: 288
    sources:
      {{- . | nindent 6 }}
{{- end }}
{{- if include "countersign.embedded" . }}
- name: data
  persistentVolumeClaim:
    claimName: {{ include "countersign.claim" . | quote }}
{{- end }}
{{- range $listener := tuple "grpc" "edge" "operations" }}
{{- $tls := index $.Values.tls $listener }}
{{- if $tls.enabled }}
{{ include "countersign.secretVolume" (list (printf "tls-%s" $listener) (include "countersign.tlsSecret" (list $ $listener)) nil) }}
{{- with $tls.clientCaSecret }}
{{ include "countersign.secretVolume" (list (printf "tls-%s-clients" $listener) . (list "ca.crt")) }}
{{- end }}
{{- end }}
{{- end }}
{{- include "countersign.storeVolumes" . }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}
