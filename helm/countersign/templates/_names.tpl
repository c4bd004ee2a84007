{{- define "countersign.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" }}
{{- end }}

{{/* Short enough that every suffix below fits into the 63 bytes of a name. */}}
{{- define "countersign.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 45 | trimSuffix "-" }}
{{- else if contains .Chart.Name .Release.Name }}
{{- .Release.Name | trunc 45 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "countersign.name" .) | trunc 45 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* What never changes, and so may select. */}}
{{- define "countersign.selector" -}}
app.kubernetes.io/name: {{ include "countersign.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: server
{{- end }}

{{- define "countersign.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{ include "countersign.podLabels" . }}
{{- end }}

{{/* Those of pods: not the chart's version, which would replace every replica for a chart that renders the same. */}}
{{- define "countersign.podLabels" -}}
app.kubernetes.io/name: {{ include "countersign.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "countersign.image" -}}
{{- with .Values.image -}}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{- define "countersign.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (ternary (include "countersign.fullname" .) "default" .Values.serviceAccount.create) }}
{{- end }}

{{/* (list $ object): "true" when the object of the cluster was made by this release, or nothing. */}}
{{- define "countersign.ours" -}}
{{- $annotations := dig "metadata" "annotations" dict (index . 1) | default dict }}
{{- if eq (get $annotations "meta.helm.sh/release-name") (index . 0).Release.Name }}true{{ end }}
{{- end }}

{{- define "countersign.signingSecret" -}}
{{- .Values.keys.existingSigningSecret | default (printf "%s-signing-keys" (include "countersign.fullname" .)) }}
{{- end }}

{{- define "countersign.refreshSecret" -}}
{{- .Values.keys.existingRefreshSecret | default (printf "%s-refresh-keys" (include "countersign.fullname" .)) }}
{{- end }}

{{- define "countersign.claim" -}}
{{- .Values.database.embedded.existingClaim | default (printf "%s-data" (include "countersign.fullname" .)) }}
{{- end }}

{{/* The Secret of a listener's certificate: (list $ "grpc"). */}}
{{- define "countersign.tlsSecret" -}}
{{- $listener := index . 1 }}
{{- with index . 0 }}
{{- (index .Values.tls $listener).existingSecret | default (printf "%s-%s-tls" (include "countersign.fullname" .) $listener) }}
{{- end }}
{{- end }}

{{- define "countersign.testSecret" -}}
{{- .Values.test.clientSecret | default (printf "%s-test-client-tls" (include "countersign.fullname" .)) }}
{{- end }}

{{/* "true", or nothing. */}}
{{- define "countersign.embedded" -}}
{{- if .Values.database.embedded.enabled }}true{{ end }}
{{- end }}
{{- define "countersign.storedKeys" -}}
{{- if eq .Values.keys.store "database" }}true{{ end }}
{{- end }}
{{- define "countersign.several" -}}
{{- if or .Values.autoscaling.enabled (gt (int .Values.replicas) 1) }}true{{ end }}
{{- end }}

{{- define "countersign.terminationSeconds" -}}
{{- with .Values.shutdown -}}
{{- $.Values.terminationGracePeriodSeconds | default (add .preStopSeconds .drainSeconds .graceSeconds 5) }}
{{- end }}
{{- end }}

{{- define "countersign.readinessProbe" -}}
{{- if eq .Values.probes.readiness "auto" -}}
operations
{{- else -}}
{{ .Values.probes.readiness }}
{{- end }}
{{- end }}
