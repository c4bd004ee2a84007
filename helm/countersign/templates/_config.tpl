{{/* The whole configuration as a tree: what `config` says, and above it what the chart knows. */}}
{{- define "countersign.settings" -}}
{{- $ := . }}
{{- $settings := deepCopy .Values.config }}
{{- $port := .Values.ports }}
{{- $host := .Values.listenHost }}
{{- $grpc := dict "listen" (printf "%s:%d" $host (int $port.grpc)) }}
{{- $edge := dict "listen" (printf "%s:%d" $host (int $port.http)) "enabled" .Values.edge.enabled }}
{{- $operations := dict "listen" (printf "%s:%d" $host (int $port.operations)) }}
{{- with .Values.grpc.allow }}{{ $_ := set $grpc "allow" . }}{{ end }}
{{- with .Values.edge.clients.name }}{{ $_ := set $edge "clients_file" "/etc/countersign/secrets/edge-clients" }}{{ end }}
{{- range $listener, $section := dict "grpc" $grpc "edge" $edge "operations" $operations }}
{{- $tls := index $.Values.tls $listener }}
{{- if $tls.enabled }}
{{- $files := printf "/etc/countersign/tls/%s" $listener }}
{{- $keys := dict "certificate_file" (printf "%s/tls.crt" $files) "key_file" (printf "%s/tls.key" $files) }}
{{- if ne $tls.clientCertificates "none" }}
{{- $_ := set $keys "client_certificates" $tls.clientCertificates }}
{{- $_ := set $keys "client_ca_file" (printf "%s/ca.crt" (ternary (printf "%s-clients" $files) $files (ne $tls.clientCaSecret ""))) }}
{{- end }}
{{- $_ := set $section "tls" $keys }}
{{- end }}
{{- end }}
{{- $keys := dict "directory" "/etc/countersign/keys" "permissions" "mounted" "create_missing" "never" }}
{{- if include "countersign.storedKeys" . }}
{{- $keys = dict "store" "database" "encryption_key_file" "/etc/countersign/secrets/key-encryption-key" }}
{{- with .Values.keys.previousEncryptionKey.name }}{{ $_ := set $keys "previous_encryption_key_file" "/etc/countersign/secrets/previous-key-encryption-key" }}{{ end }}
{{- end }}
{{- $shutdown := dict "drain_delay" (printf "%ds" (int .Values.shutdown.drainSeconds)) "grace" (printf "%ds" (int .Values.shutdown.graceSeconds)) }}
{{- $redis := dict }}
{{- with .Values.redis }}
{{- if .existingSecret.name }}{{ $_ := set $redis "url_file" "/etc/countersign/secrets/redis-url" }}{{ end }}
{{- if .sentinelPassword.name }}{{ $_ := set $redis "sentinel_password_file" "/etc/countersign/secrets/redis-sentinel-password" }}{{ end }}
{{- if .tls.existingSecret }}
{{- $_ := set $redis "ca_file" "/etc/countersign/tls/redis/ca.crt" }}
{{- if .tls.clientCertificate }}
{{- $_ := set $redis "certificate_file" "/etc/countersign/tls/redis/tls.crt" }}
{{- $_ := set $redis "key_file" "/etc/countersign/tls/redis/tls.key" }}
{{- end }}
{{- end }}
{{- end }}
{{- $captcha := dict }}
{{- with .Values.captcha.existingSecret.name }}{{ $_ := set $captcha "secret_file" "/etc/countersign/secrets/captcha" }}{{ end }}
{{- $managed := dict "grpc" $grpc "edge" $edge "operations" $operations "keys" $keys "shutdown" $shutdown "redis" $redis "captcha" $captcha "database" (include "countersign.databaseSettings" . | fromYaml) }}
{{- mergeOverwrite $settings $managed | toYaml }}
{{- end }}

{{- define "countersign.databaseSettings" -}}
{{- if include "countersign.embedded" . -}}
url: sqlite:///var/lib/countersign/countersign.db
{{- else -}}
url_file: /etc/countersign/secrets/database-url
{{- end }}
{{- end }}

{{/* A tree of sections as TOML. */}}
{{- define "countersign.toml" -}}
{{- range $section, $keys := . }}
{{- if $keys }}
[{{ $section }}]
{{- range $key, $value := $keys }}
{{- if not (kindIs "map" $value) }}
{{ $key }} = {{ include "countersign.tomlValue" $value }}
{{- end }}
{{- end }}
{{- range $key, $value := $keys }}
{{- if kindIs "map" $value }}
[{{ $section }}.{{ $key }}]
{{- range $name, $inner := $value }}
{{ $name }} = {{ include "countersign.tomlValue" $inner }}
{{- end }}
{{- end }}
{{- end }}
{{ end }}
{{- end }}
{{- end }}

{{/* JSON's strings are TOML's. Numbers of values are all floating: only whole ones are configuration. */}}
{{- define "countersign.tomlValue" -}}
{{- if kindIs "slice" . -}}
[{{ range $index, $item := . }}{{ if $index }}, {{ end }}{{ include "countersign.tomlValue" $item }}{{ end }}]
{{- else if kindIs "map" . -}}
{ {{- range $index, $key := keys . | sortAlpha }}{{ if $index }},{{ end }} {{ $key }} = {{ include "countersign.tomlValue" (get $ $key) }}{{ end }} }
{{- else if or (kindIs "float64" .) (kindIs "int64" .) (kindIs "int" .) -}}
{{ int64 . }}
{{- else -}}
{{ toJson . }}
{{- end }}
{{- end }}

{{- define "countersign.configFile" -}}
{{ include "countersign.settings" . | fromYaml | include "countersign.toml" | trim }}
{{ end }}
