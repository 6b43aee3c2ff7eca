{{- define "freshet.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{ (contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name)) | trunc 50 | trimSuffix "-" }}
{{- end -}}
{{- end }}

{{/* Never a version in here: selectors cannot be changed. */}}
{{- define "freshet.selector" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride | trunc 63 }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "freshet.labels" -}}
{{ include "freshet.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: freshet
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "freshet.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{ default (include "freshet.fullname" .) .Values.serviceAccount.name }}
{{- else -}}
{{ default "default" .Values.serviceAccount.name }}
{{- end -}}
{{- end }}

{{- define "freshet.pipelineConfigMap" -}}
{{ default (printf "%s-pipeline" (include "freshet.fullname" .)) .Values.pipeline.existingConfigMap }}
{{- end }}

{{/* image of .binary, with the component's settings .cfg over those of all */}}
{{- define "freshet.image" -}}
{{- $image := mergeOverwrite (deepCopy .root.Values.image) (deepCopy .cfg.image) -}}
{{- $name := printf "%s/%s/%s" $image.registry $image.repository .binary -}}
{{- if $image.ref -}}
{{ $image.ref }}
{{- else if $image.digest -}}
{{ printf "%s%s@%s" $name (empty $image.tag | ternary "" (printf ":%s" $image.tag)) $image.digest }}
{{- else -}}
{{ printf "%s:%s" $name (default .root.Chart.AppVersion $image.tag) }}
{{- end -}}
{{- end }}

{{/* Settings of a Kafka cluster .kafka under the names .prefix*; .mount is the folder of its secrets. */}}
{{- define "freshet.kafkaEnv" -}}
{{- $kafka := .kafka -}}
{{- $tls := default dict $kafka.tls -}}
{{- $sasl := default dict $kafka.sasl -}}
- {name: {{ .prefix }}_BROKERS, value: {{ join "," $kafka.brokers | quote }}}
{{- if $tls.enabled }}
- {name: {{ .prefix }}_TLS_ENABLED, value: "true"}
{{- with $tls.serverName }}
- {name: {{ $.prefix }}_TLS_SERVER_NAME, value: {{ . | quote }}}
{{- end }}
{{- if $tls.existingSecret }}
{{- range $name, $key := dict "CA_FILE" $tls.caKey "CERT_FILE" $tls.certKey "KEY_FILE" $tls.keyKey }}
{{- if $key }}
- {name: {{ $.prefix }}_TLS_{{ $name }}, value: {{ printf "%s-tls/%s" $.mount $key | quote }}}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- if $sasl.mechanism }}
- {name: {{ .prefix }}_SASL_MECHANISM, value: {{ $sasl.mechanism | quote }}}
{{- if eq $sasl.mechanism "OAUTHBEARER" }}
{{- include "freshet.oauthEnv" (dict "prefix" (printf "%s_SASL_OAUTH" .prefix) "oauth" (default dict $sasl.oauth) "mount" (printf "%s-sasl" .mount)) }}
{{- else if ne $sasl.mechanism "AWS_MSK_IAM" }}
- name: {{ .prefix }}_SASL_USER
  valueFrom: {secretKeyRef: {name: {{ $sasl.existingSecret | quote }}, key: {{ default "username" $sasl.userKey | quote }}}}
- {name: {{ .prefix }}_SASL_PASSWORD_FILE, value: {{ printf "%s-sasl/%s" .mount (default "password" $sasl.passwordKey) | quote }}}
{{- end }}
{{- end }}
{{- end }}

{{/* Settings of OAUTHBEARER: a token endpoint, or without one the token itself. */}}
{{- define "freshet.oauthEnv" -}}
{{- $oauth := .oauth -}}
{{- if $oauth.tokenUrl }}
- {name: {{ .prefix }}_TOKEN_URL, value: {{ $oauth.tokenUrl | quote }}}
- {name: {{ .prefix }}_CLIENT_ID, value: {{ $oauth.clientId | quote }}}
- {name: {{ .prefix }}_CLIENT_SECRET_FILE, value: {{ printf "%s/%s" .mount (default "client-secret" $oauth.clientSecretKey) | quote }}}
{{- with $oauth.scopes }}
- {name: {{ $.prefix }}_SCOPES, value: {{ join "," . | quote }}}
{{- end }}
{{- with $oauth.audience }}
- {name: {{ $.prefix }}_AUDIENCE, value: {{ . | quote }}}
{{- end }}
{{- with $oauth.caKey }}
- {name: {{ $.prefix }}_CA_FILE, value: {{ printf "%s/%s" $.mount . | quote }}}
{{- end }}
{{- else }}
- {name: {{ .prefix }}_TOKEN_FILE, value: {{ printf "%s/%s" .mount (default "token" $oauth.tokenKey) | quote }}}
{{- end }}
{{- with $oauth.extensions }}
{{- $pairs := list }}
{{- range $name, $value := . }}
{{- $pairs = append $pairs (printf "%s:%s" $name $value) }}
{{- end }}
- {name: {{ $.prefix }}_EXTENSIONS, value: {{ join "," $pairs | quote }}}
{{- end }}
{{- end }}

{{/* Settings of .redis; .mount is the folder of its secrets. */}}
{{- define "freshet.redisEnv" -}}
{{- $redis := .redis -}}
- {name: FRESHET_REDIS_URL, value: {{ $redis.url | quote }}}
{{- with $redis.username }}
- {name: FRESHET_REDIS_USERNAME, value: {{ . | quote }}}
{{- end }}
{{- if $redis.existingSecret }}
- {name: FRESHET_REDIS_PASSWORD_FILE, value: {{ printf "%s/%s" .mount $redis.passwordKey | quote }}}
{{- end }}
{{- with $redis.sentinel.username }}
- {name: FRESHET_REDIS_SENTINEL_USERNAME, value: {{ . | quote }}}
{{- end }}
{{- if $redis.sentinel.existingSecret }}
- {name: FRESHET_REDIS_SENTINEL_PASSWORD_FILE, value: {{ printf "%s-sentinel/%s" .mount $redis.sentinel.passwordKey | quote }}}
{{- end }}
{{- with $redis.tls.serverName }}
- {name: FRESHET_REDIS_TLS_SERVER_NAME, value: {{ . | quote }}}
{{- end }}
{{- if $redis.tls.existingSecret }}
{{- range $name, $key := dict "CA_FILE" $redis.tls.caKey "CERT_FILE" $redis.tls.certKey "KEY_FILE" $redis.tls.keyKey }}
{{- if $key }}
- {name: FRESHET_REDIS_TLS_{{ $name }}, value: {{ printf "%s-tls/%s" $.mount $key | quote }}}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* The secrets that .component mounts, as a YAML map of folder name to secret. */}}
{{- define "freshet.secrets" -}}
{{- $v := .root.Values -}}
{{- $source := default dict $v.sourceKafka -}}
{{- if and $v.kafka.tls.enabled $v.kafka.tls.existingSecret }}
kafka-tls: {{ $v.kafka.tls.existingSecret | quote }}
{{- end }}
{{- if and $v.kafka.sasl.mechanism (ne $v.kafka.sasl.mechanism "AWS_MSK_IAM") }}
kafka-sasl: {{ $v.kafka.sasl.existingSecret | quote }}
{{- end }}
{{- if and (has .component (list "ingest" "topics")) $source.brokers }}
{{- if and (default dict $source.tls).enabled (default dict $source.tls).existingSecret }}
source-kafka-tls: {{ $source.tls.existingSecret | quote }}
{{- end }}
{{- if and (default dict $source.sasl).mechanism (ne $source.sasl.mechanism "AWS_MSK_IAM") }}
source-kafka-sasl: {{ $source.sasl.existingSecret | quote }}
{{- end }}
{{- end }}
{{- if eq .component "ingest" }}
{{- with $v.schemaRegistry.existingSecret }}
schema-registry: {{ . | quote }}
{{- end }}
{{- with $v.schemaRegistry.tls.existingSecret }}
schema-registry-tls: {{ . | quote }}
{{- end }}
{{- end }}
{{- if and (eq .component "ingest") $v.redis.url }}
{{- with $v.redis.existingSecret }}
redis: {{ . | quote }}
{{- end }}
{{- with $v.redis.sentinel.existingSecret }}
redis-sentinel: {{ . | quote }}
{{- end }}
{{- with $v.redis.tls.existingSecret }}
redis-tls: {{ . | quote }}
{{- end }}
{{- end }}
{{- if and (eq .component "ingest") $v.http.enabled }}
{{- with $v.http.existingSecret }}
http: {{ . | quote }}
{{- end }}
{{- with $v.http.tls.existingSecret }}
http-tls: {{ . | quote }}
{{- end }}
{{- end }}
{{- if ne .component "ingest" }}
{{- with $v.weaviate.existingSecret }}
weaviate: {{ . | quote }}
{{- end }}
{{- with $v.weaviate.tls.existingSecret }}
weaviate-tls: {{ . | quote }}
{{- end }}
{{- end }}
{{- if eq .component "embed" }}
{{- with $v.openai.existingSecret }}
openai: {{ . | quote }}
{{- end }}
{{- with $v.openai.backup.existingSecret }}
openai-backup: {{ . | quote }}
{{- end }}
{{- end }}
{{- end }}

{{- define "freshet.env" -}}
{{- $v := .root.Values -}}
{{- $secrets := "/etc/freshet/secrets" -}}
{{ include "freshet.kafkaEnv" (dict "prefix" "FRESHET_KAFKA" "kafka" $v.kafka "mount" (printf "%s/kafka" $secrets)) }}
{{- if and (has .component (list "ingest" "topics")) (default dict $v.sourceKafka).brokers }}
{{ include "freshet.kafkaEnv" (dict "prefix" "FRESHET_SOURCE_KAFKA" "kafka" $v.sourceKafka "mount" (printf "%s/source-kafka" $secrets)) }}
{{- end }}
{{- if and (eq .component "ingest") $v.schemaRegistry.urls }}
{{- with $v.schemaRegistry }}
- {name: FRESHET_SCHEMA_REGISTRY_URL, value: {{ join "," .urls | quote }}}
{{- with .user }}
- {name: FRESHET_SCHEMA_REGISTRY_USER, value: {{ . | quote }}}
{{- end }}
{{- if .existingSecret }}
- {name: FRESHET_SCHEMA_REGISTRY_{{ ternary "PASSWORD" "TOKEN" (ne .user "") }}_FILE, value: {{ printf "%s/schema-registry/%s" $secrets .key | quote }}}
{{- end }}
{{- if .tls.existingSecret }}
{{- range $name, $key := dict "CA_FILE" .tls.caKey "CERT_FILE" .tls.certKey "KEY_FILE" .tls.keyKey }}
{{- if $key }}
- {name: FRESHET_SCHEMA_REGISTRY_TLS_{{ $name }}, value: {{ printf "%s/schema-registry-tls/%s" $secrets $key | quote }}}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- if and (eq .component "ingest") $v.redis.url }}
{{ include "freshet.redisEnv" (dict "redis" $v.redis "mount" (printf "%s/redis" $secrets)) }}
{{- end }}
- {name: FRESHET_TOPIC_PREFIX, value: {{ $v.topics.prefix | quote }}}
- {name: FRESHET_PIPELINE, value: /etc/freshet/pipeline/{{ $v.pipeline.key }}}
{{- if and (eq .component "ingest") $v.http.enabled }}
- {name: FRESHET_HTTP_ADDRESS, value: {{ printf ":%v" $v.http.port | quote }}}
{{- if $v.http.existingSecret }}
- {name: FRESHET_HTTP_TOKENS_FILE, value: {{ printf "%s/http/%s" $secrets $v.http.tokensKey | quote }}}
{{- end }}
{{- if $v.http.allowAnonymous }}
- {name: FRESHET_HTTP_ALLOW_ANONYMOUS, value: "true"}
{{- end }}
{{- if $v.http.tls.existingSecret }}
{{- range $name, $key := dict "CERT_FILE" $v.http.tls.certKey "KEY_FILE" $v.http.tls.keyKey "CLIENT_CA_FILE" $v.http.tls.clientCaKey }}
{{- if $key }}
- {name: FRESHET_HTTP_TLS_{{ $name }}, value: {{ printf "%s/http-tls/%s" $secrets $key | quote }}}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- if ne .component "ingest" }}
- {name: FRESHET_WEAVIATE_URL, value: {{ $v.weaviate.url | quote }}}
- {name: FRESHET_WEAVIATE_GRPC, value: {{ $v.weaviate.grpc | quote }}}
{{- if $v.weaviate.existingSecret }}
- {name: FRESHET_WEAVIATE_API_KEY_FILE, value: {{ printf "%s/weaviate/%s" $secrets $v.weaviate.apiKeyKey | quote }}}
{{- end }}
{{- if $v.weaviate.mixTemplates }}
- {name: FRESHET_WEAVIATE_MIX_TEMPLATES, value: "true"}
{{- end }}
{{- if $v.weaviate.tls.existingSecret }}
{{- range $name, $key := dict "CA_FILE" $v.weaviate.tls.caKey "CERT_FILE" $v.weaviate.tls.certKey "KEY_FILE" $v.weaviate.tls.keyKey }}
{{- if $key }}
- {name: FRESHET_WEAVIATE_TLS_{{ $name }}, value: {{ printf "%s/weaviate-tls/%s" $secrets $key | quote }}}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- if eq .component "embed" }}
- {name: FRESHET_OPENAI_URL, value: {{ $v.openai.url | quote }}}
{{- if $v.openai.existingSecret }}
- {name: FRESHET_OPENAI_KEY_FILE, value: {{ printf "%s/openai/%s" $secrets $v.openai.keyKey | quote }}}
{{- end }}
- {name: FRESHET_OPENAI_REPLICAS, value: {{ .cfg.replicas | quote }}}
{{- with $v.openai.backup }}
{{- if .url }}
- {name: FRESHET_OPENAI_BACKUP_URL, value: {{ .url | quote }}}
- {name: FRESHET_OPENAI_BACKUP_MODEL, value: {{ .model | quote }}}
{{- end }}
{{- if .existingSecret }}
- {name: FRESHET_OPENAI_BACKUP_KEY_FILE, value: {{ printf "%s/openai-backup/%s" $secrets .keyKey | quote }}}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* Settings of a service's process that the topics job does not have. */}}
{{- define "freshet.processEnv" -}}
{{- $v := .root.Values -}}
- {name: FRESHET_ADMIN_ADDRESS, value: ":9090"}
- {name: FRESHET_LOG_FORMAT, value: {{ $v.log.format | quote }}}
- {name: FRESHET_LOG_LEVEL, value: {{ $v.log.level | quote }}}
{{- with $v.traces.endpoint }}
- {name: FRESHET_TRACES_EXPORTER, value: otlp}
- {name: FRESHET_TRACES_SAMPLE_RATIO, value: {{ $v.traces.sampleRatio | quote }}}
- {name: FRESHET_TRACES_SLOW_AFTER, value: {{ $v.traces.slowAfter | quote }}}
- {name: FRESHET_TRACES_SLOW_PER_SECOND, value: {{ $v.traces.slowPerSecond | quote }}}
- {name: OTEL_EXPORTER_OTLP_ENDPOINT, value: {{ . | quote }}}
{{- end }}
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: OTEL_RESOURCE_ATTRIBUTES
  value: "service.namespace={{ .root.Release.Namespace }},service.instance.id=$(POD_NAME)"
{{- with (default dict .cfg.resources.limits).memory }}
- name: GOMEMLIMIT
  valueFrom: {resourceFieldRef: {resource: limits.memory, divisor: "1"}}
{{- end }}
{{- end }}

{{- define "freshet.volumeMounts" -}}
- {name: pipeline, mountPath: /etc/freshet/pipeline, readOnly: true}
{{- range $name, $secret := include "freshet.secrets" . | fromYaml }}
- {name: {{ $name }}, mountPath: /etc/freshet/secrets/{{ $name }}, readOnly: true}
{{- end }}
{{- end }}

{{/* .configMap is the one with the pipeline file; 288 is mode 0440 */}}
{{- define "freshet.volumes" -}}
- {name: pipeline, configMap: {name: {{ .configMap }}}}
{{- range $name, $secret := include "freshet.secrets" . | fromYaml }}
- {name: {{ $name }}, secret: {secretName: {{ $secret | quote }}, defaultMode: 288}}
{{- end }}
{{- end }}
