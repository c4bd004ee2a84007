{{/* Combinations that cannot work, each refused with a sentence before anything is installed. */}}
{{- define "countersign.guards" -}}
{{- include "countersign.storeGuards" . }}
{{- include "countersign.keyGuards" . }}
{{- include "countersign.tlsGuards" . }}
{{- include "countersign.runGuards" . }}
{{- end }}

{{- define "countersign.storeGuards" -}}
{{- $embedded := include "countersign.embedded" . }}
{{- $database := .Values.database.existingSecret.name }}
{{- if and $embedded $database }}
{{- fail "database.embedded.enabled and database.existingSecret.name are both set: disable the embedded database, or leave the Secret out." }}
{{- end }}
{{- if not (or $embedded $database) }}
{{- fail "There is no database: name the Secret with its URL in database.existingSecret.name, or enable database.embedded." }}
{{- end }}
{{- if and $embedded .Values.autoscaling.enabled }}
{{- fail "autoscaling cannot work with the embedded database: SQLite is for one replica. Set database.embedded.enabled=false and database.existingSecret.name." }}
{{- end }}
{{- if and $embedded (gt (int .Values.replicas) 1) }}
{{- fail (printf "%d replicas cannot share the embedded database: SQLite is for one replica. Set database.embedded.enabled=false and database.existingSecret.name." (int .Values.replicas)) }}
{{- end }}
{{- if and .Values.autoscaling.enabled (gt (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas)) }}
{{- fail "autoscaling.minReplicas is greater than autoscaling.maxReplicas." }}
{{- end }}
{{- $store := dig "sessions" "store" "auto" .Values.config }}
{{- if and (eq $store "redis") (not .Values.redis.existingSecret.name) }}
{{- fail "config.sessions.store is \"redis\" and there is no Redis: name the Secret with its URL in redis.existingSecret.name." }}
{{- end }}
{{- if and .Values.redis.sentinelPassword.name (not .Values.redis.existingSecret.name) }}
{{- fail "redis.sentinelPassword is for a Redis that redis.existingSecret.name does not name." }}
{{- end }}
{{- if and (ne (dig "captcha" "mode" "off" .Values.config) "off") (not .Values.captcha.existingSecret.name) }}
{{- fail "config.captcha.mode asks for captchas: name the Secret of the captcha's service in captcha.existingSecret.name." }}
{{- end }}
{{- end }}

{{- define "countersign.keyGuards" -}}
{{- if include "countersign.storedKeys" . }}
{{- if not .Values.keys.encryptionKey.name }}
{{- fail "keys.store=database needs the key that keys are encrypted with: name its Secret in keys.encryptionKey.name." }}
{{- end }}
{{- else }}
{{- with .Values.keys }}
{{- if ne (empty .existingSigningSecret) (empty .existingRefreshSecret) }}
{{- fail "keys.existingSigningSecret and keys.existingRefreshSecret go together: name both, or neither." }}
{{- end }}
{{- if not (or .generate .existingSigningSecret) }}
{{- fail "There are no keys: name keys.existingSigningSecret and keys.existingRefreshSecret, or set keys.generate=true." }}
{{- end }}
{{- if and (not .existingSigningSecret) (ne (dig "keys" "algorithm" "EdDSA" $.Values.config) "EdDSA") }}
{{- fail "The chart makes EdDSA keys only: for another config.keys.algorithm, make keys with `countersign key generate` and name keys.existingSigningSecret." }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "countersign.tlsGuards" -}}
{{- range $listener := tuple "grpc" "edge" "operations" }}
{{- $tls := index $.Values.tls $listener }}
{{- if and $tls.enabled (not $tls.existingSecret) (not $.Values.tls.certManager.enabled) }}
{{- fail (printf "tls.%s has no certificate: name a Secret with tls.crt and tls.key in tls.%s.existingSecret, or enable tls.certManager." $listener $listener) }}
{{- end }}
{{- if and (not $tls.enabled) (ne $tls.clientCertificates "none") }}
{{- fail (printf "tls.%s.clientCertificates needs tls.%s.enabled=true." $listener $listener) }}
{{- end }}
{{- end }}
{{- range .Values.grpc.allow }}
{{- if and (ne (join "," .sans) "anyone") (eq $.Values.tls.grpc.clientCertificates "none") }}
{{- fail "grpc.allow goes by clients' certificates: set tls.grpc.clientCertificates to required or, with rules for what deserves one, to optional." }}
{{- end }}
{{- end }}
{{- with .Values.tls }}
{{- if and .certManager.enabled (not .certManager.issuerRef.name) }}
{{- fail "tls.certManager needs the issuer's name in tls.certManager.issuerRef.name." }}
{{- end }}
{{- if and .grpc.enabled (eq $.Values.probes.readiness "grpc") }}
{{- fail "probes.readiness=grpc cannot work when gRPC speaks TLS: kubelet's gRPC probe speaks none. Set probes.readiness=operations, or leave it at auto." }}
{{- end }}
{{- if eq .operations.clientCertificates "required" }}
{{- fail "tls.operations.clientCertificates=required cannot work: kubelet probes that port, and has no certificate to show." }}
{{- end }}
{{- if and (eq .grpc.clientCertificates "required") (not $.Values.test.clientSecret) (not .certManager.enabled) }}
{{- fail "tls.grpc.clientCertificates=required: `helm test` needs a client's certificate, too; name its Secret in test.clientSecret." }}
{{- end }}
{{- end }}
{{- if and .Values.redis.tls.clientCertificate (not .Values.redis.tls.existingSecret) }}
{{- fail "redis.tls.clientCertificate needs redis.tls.existingSecret." }}
{{- end }}
{{- end }}

{{- define "countersign.runGuards" -}}
{{- with .Values.shutdown }}
{{- $least := add .preStopSeconds .drainSeconds .graceSeconds }}
{{- with $.Values.terminationGracePeriodSeconds }}
{{- if le (int .) (int $least) }}
{{- fail (printf "terminationGracePeriodSeconds=%d would kill a replica that is still finishing: it must be more than the %d seconds of shutdown together." (int .) (int $least)) }}
{{- end }}
{{- end }}
{{- end }}
{{- if and .Values.ingress.enabled (not .Values.edge.enabled) }}
{{- fail "ingress passes HTTP on, and edge.enabled is false." }}
{{- end }}
{{- if and .Values.ingress.enabled (not .Values.ingress.host) (not .Values.ingress.hosts) }}
{{- fail "ingress needs ingress.host or ingress.hosts." }}
{{- end }}
{{- if and .Values.gateway.enabled (not .Values.gateway.parentRefs) }}
{{- fail "gateway needs the Gateway that the routes belong to, in gateway.parentRefs." }}
{{- end }}
{{- include "countersign.routeGuard" . }}
{{- if and .Values.autoscaling.enabled (not (dig "requests" "cpu" "" .Values.resources)) }}
{{- fail "autoscaling goes by the use of the processor that was requested: set resources.requests.cpu." }}
{{- end }}
{{- with .Values.prometheusRule }}
{{- if and .enabled (not .runbookUrl) }}
{{- fail "prometheusRule links each alert to what to do: say in prometheusRule.runbookUrl where docs/operations.md is read." }}
{{- end }}
{{- end }}
{{- include "countersign.memoryGuard" . }}
{{- end }}

{{/*
What the process can come to hold, as docs/operations.md counts it ("What callers can hold"): a limit below it is an OOM kill
under load. 64 MiB are the service itself and the callers of the operations port.
*/}}
{{- define "countersign.memoryGuard" -}}
{{- $limit := dig "limits" "memory" "" .Values.resources | toString }}
{{- $passwords := .Values.config.passwords | default dict }}
{{- $threads := int (dig "threads" 0 $passwords) }}
{{- if and $limit (eq $threads 0) }}
{{- fail "config.passwords.threads must be a number where resources.limits.memory is one: 0 is a thread for each of the node's processors, each with memory of its own." }}
{{- end }}
{{- $mebibytes := 0 }}
{{- if hasSuffix "Mi" $limit }}{{ $mebibytes = trimSuffix "Mi" $limit | int }}{{ end }}
{{- if hasSuffix "Gi" $limit }}{{ $mebibytes = mul 1024 (trimSuffix "Gi" $limit | int) }}{{ end }}
{{- $hashes := div (mul $threads (int (dig "memory_kib" 19456 $passwords))) 1024 }}
{{- $cached := div (mul 2 (int (dig "verified_cache" 65536 (.Values.config.tokens | default dict)))) 1024 }}
{{- $callers := int (dig "memory_mib" 256 (.Values.config.limits | default dict)) }}
{{- $needed := add 64 $hashes $cached $callers }}
{{- if and (gt (int $mebibytes) 0) (gt (int $needed) (int $mebibytes)) }}
{{- fail (printf "resources.limits.memory=%s cannot hold what the process can come to hold, %d MiB: %d password hashes of %d MiB together (config.passwords.threads, memory_kib), %d MiB of verified tokens (config.tokens.verified_cache), %d MiB for callers (config.limits.memory_mib), and 64 MiB." $limit (int $needed) $threads (int $hashes) (int $cached) $callers) }}
{{- end }}
{{- end }}

{{/* No hostname for both kinds of routes: the implementation must refuse one of them (Gateway API, GRPCRouteSpec). */}}
{{- define "countersign.routeGuard" -}}
{{- with .Values.gateway }}
{{- if and .enabled .grpc.enabled .http.enabled $.Values.edge.enabled }}
{{- $clash := or (not .grpc.hostnames) (not .http.hostnames) }}
{{- range $one := .grpc.hostnames }}
{{- range $other := $.Values.gateway.http.hostnames }}
{{- $below := and (hasPrefix "*." $one) (hasSuffix (trimPrefix "*" $one) $other) }}
{{- $above := and (hasPrefix "*." $other) (hasSuffix (trimPrefix "*" $other) $one) }}
{{- if or (eq $one $other) $below $above }}{{ $clash = true }}{{ end }}
{{- end }}
{{- end }}
{{- if $clash }}
{{- fail "A Gateway refuses a GRPCRoute and an HTTPRoute for one hostname: give gateway.grpc.hostnames and gateway.http.hostnames hostnames that do not overlap, or disable one of them." }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
