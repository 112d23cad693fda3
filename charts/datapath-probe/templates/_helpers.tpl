{{- define "datapath-probe.labels" -}}
app.kubernetes.io/name: datapath-probe
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "datapath-probe.subjects" -}}
- kind: ServiceAccount
  name: datapath-probe
  namespace: {{ .Release.Namespace }}
{{- end }}
