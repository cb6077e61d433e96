{{- define "callgate.name" -}}
{{- printf "%s-callgate" .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "callgate.labels" -}}
app.kubernetes.io/name: callgate
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}
