{{- define "countersign.servicePorts" -}}
- name: grpc
  port: {{ .Values.ports.grpc }}
  targetPort: grpc
  appProtocol: {{ ternary "https" .Values.service.grpcAppProtocol .Values.tls.grpc.enabled }}
{{- if .Values.edge.enabled }}
- name: http
  port: {{ .Values.ports.http }}
  targetPort: http
  appProtocol: {{ ternary "https" "http" .Values.tls.edge.enabled }}
{{- end }}
{{- end }}
