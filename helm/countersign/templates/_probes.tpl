{{/* Startup and liveness ask the process alone; readiness asks whether it should get requests. */}}
{{- define "countersign.probes" -}}
{{- $scheme := ternary "HTTPS" "HTTP" .Values.tls.operations.enabled -}}
startupProbe:
  httpGet:
    path: /livez
    port: operations
    scheme: {{ $scheme }}
  periodSeconds: 1
  failureThreshold: {{ .Values.probes.startupSeconds }}
livenessProbe:
  httpGet:
    path: /livez
    port: operations
    scheme: {{ $scheme }}
  periodSeconds: 10
  timeoutSeconds: 3
  failureThreshold: 3
readinessProbe:
  {{- if eq (include "countersign.readinessProbe" .) "grpc" }}
  grpc:
    port: {{ .Values.ports.grpc }}
    service: countersign.v1.AuthService
  {{- else }}
  httpGet:
    path: /readyz
    port: operations
    scheme: {{ $scheme }}
  {{- end }}
  periodSeconds: 3
  timeoutSeconds: 2
  failureThreshold: 2
{{- end }}
