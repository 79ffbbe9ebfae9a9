{{- define "histrio.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "histrio.selector" -}}
app.kubernetes.io/name: histrio-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "histrio.labels" -}}
{{ include "histrio.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: histrio
app.kubernetes.io/component: operator
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "histrio.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "histrio.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "histrio.image" -}}
{{- $registry := default .Values.global.imageRegistry .Values.image.registry -}}
{{- with $registry }}{{ . }}/{{ end -}}
{{- .Values.image.repository -}}
{{- if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ default .Chart.AppVersion .Values.image.tag }}{{ end -}}
{{- end -}}

{{/* Of helm test: beside the operator's unless it is said. */}}
{{- define "histrio.testImage" -}}
{{- if .Values.tests.image -}}
{{- .Values.tests.image -}}
{{- else -}}
{{- $registry := default .Values.global.imageRegistry .Values.image.registry -}}
{{- with $registry }}{{ . }}/{{ end -}}
histrio-bank:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end -}}

{{/* What the operator may do where systems are. */}}
{{- define "histrio.rules" -}}
- apiGroups: [histrio.dev]
  resources: [actorsystems]
  verbs: [get, list, watch, patch]
- apiGroups: [histrio.dev]
  resources: [actorsystems/status]
  verbs: [get, patch]
# For owner references that block the deletion of their owner.
- apiGroups: [histrio.dev]
  resources: [actorsystems/finalizers]
  verbs: [update]
- apiGroups: [histrio.dev]
  resources: [actorplacements]
  verbs: [get, list, create, patch, delete]
- apiGroups: [histrio.dev]
  resources: [actorfences]
  verbs: [get, create, update]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, create, delete]
- apiGroups: [""]
  resources: [services]
  verbs: [get, create, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, create, patch, delete]
# Neither list nor watch: only the Secrets that it knows by name.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, create, update, delete]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}
