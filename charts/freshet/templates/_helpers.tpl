{{- define "freshet.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{ (contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name)) | trunc 50 | trimSuffix "-" }}
{{- end -}}
{{- end }}

{{/* Of all pods. Never a version in here: selectors cannot be changed. */}}
{{- define "freshet.releaseSelector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "freshet.selector" -}}
{{ include "freshet.releaseSelector" .root }}
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

{{/* The clusters as .component with .cfg sees them. Who does not look at source topics has the pipeline's alone. */}}
{{- define "freshet.clusters" -}}
kafka: {{- mergeOverwrite (deepCopy .root.Values.kafka) (deepCopy (default dict .cfg.kafka)) | toYaml | nindent 2 }}
{{- if and (has .component (list "ingest" "topics" "selftest")) .root.Values.sourceKafka.brokers }}
source-kafka: {{- mergeOverwrite (deepCopy .root.Values.sourceKafka) (deepCopy (default dict .cfg.sourceKafka)) | toYaml | nindent 2 }}
{{- end }}
{{- end }}

{{/* The files ca, cert and key of TLS to a cluster, each with its secret and key. */}}
{{- define "freshet.tlsFiles" -}}
{{- $tls := . -}}
{{- range $name, $key := dict "ca" .caKey "cert" .certKey "key" .keyKey -}}
{{- $secret := eq $name "ca" | ternary (default $tls.existingSecret $tls.caSecret) $tls.existingSecret -}}
{{- if and $tls.enabled $secret $key }}
{{ $name }}: {secret: {{ $secret | quote }}, key: {{ $key | quote }}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Settings of a Kafka cluster .kafka under the names .prefix*; .mount is the folder of its secrets. */}}
{{- define "freshet.kafkaEnv" -}}
{{- $kafka := .kafka -}}
{{- $tls := $kafka.tls -}}
{{- $sasl := $kafka.sasl -}}
- {name: {{ .prefix }}_BROKERS, value: {{ join "," $kafka.brokers | quote }}}
{{- if $tls.enabled }}
- {name: {{ .prefix }}_TLS_ENABLED, value: "true"}
{{- with $tls.serverName }}
- {name: {{ $.prefix }}_TLS_SERVER_NAME, value: {{ . | quote }}}
{{- end }}
{{- range $name, $ref := include "freshet.tlsFiles" $tls | fromYaml }}
- {name: {{ $.prefix }}_TLS_{{ upper $name }}_FILE, value: {{ printf "%s-%s/%s" $.mount (eq $ref.secret $tls.existingSecret | ternary "tls" "ca") $ref.key | quote }}}
{{- end }}
{{- end }}
{{- if $sasl.mechanism }}
- {name: {{ .prefix }}_SASL_MECHANISM, value: {{ $sasl.mechanism | quote }}}
{{- if eq $sasl.mechanism "OAUTHBEARER" }}
{{- include "freshet.oauthEnv" (dict "prefix" (printf "%s_SASL_OAUTH" .prefix) "oauth" $sasl.oauth "mount" (printf "%s-sasl" .mount)) }}
{{- else if ne $sasl.mechanism "AWS_MSK_IAM" }}
- name: {{ .prefix }}_SASL_USER
  valueFrom: {secretKeyRef: {name: {{ $sasl.existingSecret | quote }}, key: {{ $sasl.userKey | quote }}}}
- {name: {{ .prefix }}_SASL_PASSWORD_FILE, value: {{ printf "%s-sasl/%s" .mount $sasl.passwordKey | quote }}}
{{- end }}
{{- end }}
{{- end }}

{{/* Settings of OAUTHBEARER: a token endpoint, or without one the token itself. */}}
{{- define "freshet.oauthEnv" -}}
{{- $oauth := .oauth -}}
{{- if $oauth.tokenUrl }}
- {name: {{ .prefix }}_TOKEN_URL, value: {{ $oauth.tokenUrl | quote }}}
- {name: {{ .prefix }}_CLIENT_ID, value: {{ $oauth.clientId | quote }}}
- {name: {{ .prefix }}_CLIENT_SECRET_FILE, value: {{ printf "%s/%s" .mount $oauth.clientSecretKey | quote }}}
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
- {name: {{ .prefix }}_TOKEN_FILE, value: {{ printf "%s/%s" .mount $oauth.tokenKey | quote }}}
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
{{- include "freshet.tlsEnv" (dict "prefix" "FRESHET_REDIS_TLS" "tls" $redis.tls "mount" (printf "%s-tls" .mount)) }}
{{- end }}

{{/* Settings .prefix* of .tls; .mount is the folder of its secret. */}}
{{- define "freshet.tlsEnv" -}}
{{- with .tls.serverName }}
- {name: {{ $.prefix }}_SERVER_NAME, value: {{ . | quote }}}
{{- end }}
{{- if .tls.existingSecret }}
{{- range $name, $key := dict "CA" .tls.caKey "CERT" .tls.certKey "KEY" .tls.keyKey "CLIENT_CA" .tls.clientCaKey }}
{{- if $key }}
- {name: {{ $.prefix }}_{{ $name }}_FILE, value: {{ printf "%s/%s" $.mount $key | quote }}}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* The secrets that .component mounts, as a YAML map of folder name to secret. */}}
{{- define "freshet.secrets" -}}
{{- $v := .root.Values -}}
{{- range $name, $kafka := include "freshet.clusters" . | fromYaml }}
{{- range include "freshet.tlsFiles" $kafka.tls | fromYaml }}
{{ $name }}-{{ eq .secret $kafka.tls.existingSecret | ternary "tls" "ca" }}: {{ .secret | quote }}
{{- end }}
{{- if and $kafka.sasl.mechanism (ne $kafka.sasl.mechanism "AWS_MSK_IAM") }}
{{ $name }}-sasl: {{ $kafka.sasl.existingSecret | quote }}
{{- end }}
{{- end }}
{{- if has .component (list "ingest" "selftest") }}
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
{{- range $name, $kafka := include "freshet.clusters" . | fromYaml }}
{{ include "freshet.kafkaEnv" (dict "prefix" (printf "FRESHET_%s" ($name | upper | replace "-" "_")) "kafka" $kafka "mount" (printf "%s/%s" $secrets $name)) }}
{{- end }}
{{- if and (has .component (list "ingest" "selftest")) $v.schemaRegistry.urls }}
{{- with $v.schemaRegistry }}
- {name: FRESHET_SCHEMA_REGISTRY_URL, value: {{ join "," .urls | quote }}}
{{- with .user }}
- {name: FRESHET_SCHEMA_REGISTRY_USER, value: {{ . | quote }}}
{{- end }}
{{- if .existingSecret }}
- {name: FRESHET_SCHEMA_REGISTRY_{{ ternary "PASSWORD" "TOKEN" (ne .user "") }}_FILE, value: {{ printf "%s/schema-registry/%s" $secrets .key | quote }}}
{{- end }}
{{- include "freshet.tlsEnv" (dict "prefix" "FRESHET_SCHEMA_REGISTRY_TLS" "tls" .tls "mount" (printf "%s/schema-registry-tls" $secrets)) }}
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
{{- include "freshet.tlsEnv" (dict "prefix" "FRESHET_HTTP_TLS" "tls" $v.http.tls "mount" (printf "%s/http-tls" $secrets)) }}
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
{{- include "freshet.tlsEnv" (dict "prefix" "FRESHET_WEAVIATE_TLS" "tls" $v.weaviate.tls "mount" (printf "%s/weaviate-tls" $secrets)) }}
{{- end }}
{{- if eq .component "embed" }}
- {name: FRESHET_OPENAI_URL, value: {{ $v.openai.url | quote }}}
{{- if $v.openai.existingSecret }}
- {name: FRESHET_OPENAI_KEY_FILE, value: {{ printf "%s/openai/%s" $secrets $v.openai.keyKey | quote }}}
{{- end }}
{{- /* The most that there may be: each takes its part of the limits. */}}
- {name: FRESHET_OPENAI_REPLICAS, value: {{ eq .cfg.autoscaling.type "none" | ternary .cfg.replicas .cfg.autoscaling.maxReplicas | quote }}}
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
- {name: FRESHET_ADMIN_ADDRESS, value: {{ printf ":%v" $v.adminPort | quote }}}
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
- {name: GOMEMLIMIT, value: {{ include "freshet.memoryLimit" . | quote }}}
{{- end }}
{{- end }}

{{/* 90 % of a quantity in bytes: the kernel counts more than Go's heap. A resourceFieldRef could say the whole of it alone. */}}
{{- define "freshet.memoryLimit" -}}
{{- $quantity := kindIs "string" . | ternary (toString .) (printf "%.0f" (float64 .)) -}}
{{- $unit := regexFind "[^0-9.]*$" $quantity -}}
{{- $factor := get (dict "" 1 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776) $unit -}}
{{- if or (not $factor) (not (regexMatch "^[0-9]" $quantity)) -}}
{{- fail (printf "resources.limits.memory=%s: GOMEMLIMIT is made of it, so write it as 512Mi, 2Gi or in bytes" $quantity) -}}
{{- end -}}
{{- printf "%.0f" (mulf (float64 (trimSuffix $unit $quantity)) (float64 $factor) 0.9 | floor) -}}
{{- end }}

{{/* The environment of a container as a list: what the values say, `env` over it, `extraEnv` over both. Where X is set, X_FILE is not.
     The selftest writes to what ingest reads and must know what ingest makes of it: what only ingest is told of that is told to it, too. */}}
{{- define "freshet.containerEnv" -}}
{{- $list := include "freshet.env" . | fromYamlArray -}}
{{- $layers := list (include "freshet.namedEnv" .cfg.env | fromYamlArray) .cfg.extraEnv -}}
{{- if has .component (list "ingest" "embed" "write") -}}
{{- $list = concat $list (include "freshet.processEnv" . | fromYamlArray) -}}
{{- else if eq .component "selftest" -}}
{{- $list = append $list (dict "name" "FRESHET_ADMIN_ADDRESSES" "value" (printf "%s-admin:%v" (include "freshet.fullname" .root) .root.Values.adminPort)) -}}
{{- $sources := printf "^FRESHET_(%sSCHEMA_REGISTRY|INGEST)_" (empty .cfg.sourceKafka | ternary "SOURCE_KAFKA|" "") -}}
{{- $ingest := mergeOverwrite (deepCopy .root.Values.defaults) (deepCopy .root.Values.ingest) -}}
{{- range list (include "freshet.namedEnv" $ingest.env | fromYamlArray) $ingest.extraEnv -}}
{{- $shared := list -}}
{{- range . }}{{ if regexMatch $sources .name }}{{ $shared = append $shared . }}{{ end }}{{ end -}}
{{- $layers = append $layers $shared -}}
{{- end -}}
{{- end -}}
{{- range $over := $layers -}}
{{- $set := list -}}
{{- range $over }}{{ $set = append $set (trimSuffix "_FILE" .name) }}{{ end -}}
{{- $kept := list -}}
{{- range $list }}{{ if not (has (trimSuffix "_FILE" .name) $set) }}{{ $kept = append $kept . }}{{ end }}{{ end -}}
{{- $list = concat $kept $over -}}
{{- end -}}
{{- range $list }}
- {{ toJson . }}
{{- end }}
{{- end }}

{{- define "freshet.namedEnv" -}}
{{- range $name, $value := . }}
- {name: {{ $name }}, value: {{ kindIs "float64" $value | ternary (toJson $value) (toString $value) | quote }}}
{{- end }}
{{- end }}

{{/* What the pods of the services and of the jobs have in common. */}}
{{- define "freshet.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext: {{- toYaml .cfg.podSecurityContext | nindent 2 }}
{{- with .cfg.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- range $key, $list := dict "imagePullSecrets" .root.Values.imagePullSecrets "nodeSelector" .cfg.nodeSelector "tolerations" .cfg.tolerations "affinity" .cfg.affinity }}
{{- with $list }}
{{ $key }}: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
volumes:
  {{- include "freshet.volumes" . | nindent 2 }}
  {{- with .cfg.extraVolumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{/* And their containers. */}}
{{- define "freshet.container" -}}
name: {{ .component }}
image: {{ include "freshet.image" . | quote }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
securityContext: {{- toYaml .cfg.securityContext | nindent 2 }}
env: {{- include "freshet.containerEnv" . | trim | nindent 2 }}
resources: {{- toYaml .cfg.resources | nindent 2 }}
volumeMounts:
  {{- include "freshet.volumeMounts" . | nindent 2 }}
  {{- with .cfg.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
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

{{/* The cluster with the component's consumer groups. */}}
{{- define "freshet.groupsCluster" -}}
{{- $clusters := include "freshet.clusters" . | fromYaml -}}
{{ get $clusters "source-kafka" | default $clusters.kafka | toYaml }}
{{- end }}

{{/* The lags that a component scales on. Those of ingest are of all topics that its group has read. */}}
{{- define "freshet.lags" -}}
{{- $prefix := .root.Values.topics.prefix -}}
{{- $scaling := .cfg.autoscaling -}}
{{- $group := get .cfg.env (printf "FRESHET_%s_GROUP" (upper .component)) | default (printf "%s-%s" $prefix .component) -}}
{{- if eq .component "ingest" -}}
- {group: {{ $group }}, threshold: {{ int64 $scaling.lagThreshold | quote }}}
{{- else -}}
{{- $topic := printf "%s.%s" $prefix (eq .component "embed" | ternary "documents" "vectors") -}}
- {group: {{ $group }}, topic: {{ $topic }}.live, threshold: {{ int64 $scaling.lagThreshold | quote }}}
- {group: {{ $group }}{{ if eq .component "embed" }}-bulk{{ end }}, topic: {{ $topic }}.bulk, threshold: {{ int64 $scaling.bulkLagThreshold | quote }}}
{{- end -}}
{{- end }}

{{/* How KEDA logs in to a cluster: with the secrets of the services. Empty where it needs none. */}}
{{- define "freshet.triggerAuthentication" -}}
{{- $refs := list -}}
{{- range $parameter, $ref := include "freshet.tlsFiles" .tls | fromYaml -}}
{{- $refs = append $refs (dict "parameter" $parameter "name" $ref.secret "key" $ref.key) -}}
{{- end -}}
{{- if has .sasl.mechanism (list "PLAIN" "SCRAM-SHA-256" "SCRAM-SHA-512") -}}
{{- range $parameter, $key := dict "username" .sasl.userKey "password" .sasl.passwordKey -}}
{{- $refs = append $refs (dict "parameter" $parameter "name" $.sasl.existingSecret "key" $key) -}}
{{- end -}}
{{- end -}}
{{- with $refs -}}
secretTargetRef: {{- toYaml . | nindent 2 }}
{{- end -}}
{{- if eq .sasl.mechanism "AWS_MSK_IAM" }}
podIdentity: {provider: aws, identityOwner: workload}
{{- end -}}
{{- end }}

{{/* A rebalance stops work for a moment: one pod a minute goes at most. */}}
{{- define "freshet.scaleDown" -}}
scaleDown: {stabilizationWindowSeconds: {{ .scaleDownAfter }}, policies: [{type: Pods, value: 1, periodSeconds: 60}]}
{{- end }}

{{/* The ports of a list of addresses as those of a NetworkPolicy, in JSON: written ones, or the scheme's. */}}
{{- define "freshet.ports" -}}
{{- $ports := list -}}
{{- range . -}}
{{- $written := regexFindAll ":[0-9]+(,|/|$)" . -1 -}}
{{- if $written -}}
{{- range $written }}{{ $ports = append $ports (regexFind "[0-9]+" . | int) }}{{ end -}}
{{- else if . -}}
{{- $usual := dict "https" 443 "redis" 6379 "rediss" 6379 "redis-cluster" 6379 "rediss-cluster" 6379 "redis-sentinel" 26379 "rediss-sentinel" 26379 -}}
{{- $ports = append $ports (get $usual (regexFind "^[a-z-]+" .) | default 80) -}}
{{- end -}}
{{- end -}}
{{- $list := list -}}
{{- range uniq $ports }}{{ $list = append $list (dict "port" . "protocol" "TCP") }}{{ end -}}
{{- toJson $list -}}
{{- end }}

{{/* The one of .names that .name was probably meant to be: they share the most of beginning and end. */}}
{{- define "freshet.nearest" -}}
{{- $best := "" -}}
{{- $most := int64 -1000 -}}
{{- range $known := .names -}}
{{- $begin := 0 -}}
{{- $end := 0 -}}
{{- $shorter := min (len $.name) (len $known) | int -}}
{{- range $i := until $shorter -}}
{{- if and (eq $begin $i) (eq (substr $i (int (add1 $i)) $.name) (substr $i (int (add1 $i)) $known)) }}{{ $begin = add1 $i | int }}{{ end -}}
{{- end -}}
{{- range $i := until (int (sub $shorter $begin)) -}}
{{- $a := sub (len $.name) $i | int -}}
{{- $b := sub (len $known) $i | int -}}
{{- if and (eq $end $i) (eq (substr (int (sub $a 1)) $a $.name) (substr (int (sub $b 1)) $b $known)) }}{{ $end = add1 $i | int }}{{ end -}}
{{- end -}}
{{- $alike := sub (mul 2 (add $begin $end)) (len $known) -}}
{{- if gt $alike $most }}{{ $best = $known }}{{ $most = $alike }}{{ end -}}
{{- end -}}
{{- $best -}}
{{- end }}
