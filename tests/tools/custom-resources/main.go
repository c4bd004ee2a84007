// Decodes the custom resources of YAML files into their projects' own Go types, and refuses every field that those do
// not have. What is in Kubernetes itself is not looked at.
package main

import (
	"fmt"
	"os"
	"strings"

	certmanager "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gateway "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"
)

var kinds = map[string]func() any{
	"cert-manager.io/v1/Certificate":          func() any { return new(certmanager.Certificate) },
	"gateway.networking.k8s.io/v1/GRPCRoute":  func() any { return new(gateway.GRPCRoute) },
	"gateway.networking.k8s.io/v1/HTTPRoute":  func() any { return new(gateway.HTTPRoute) },
	"monitoring.coreos.com/v1/PrometheusRule": func() any { return new(monitoring.PrometheusRule) },
	"monitoring.coreos.com/v1/ServiceMonitor": func() any { return new(monitoring.ServiceMonitor) },
}

func main() {
	for _, file := range os.Args[1:] {
		text, err := os.ReadFile(file)
		if err != nil {
			fail(file, "", err)
		}
		for _, document := range strings.Split(string(text), "\n---\n") {
			var kind metav1.TypeMeta
			if err := yaml.Unmarshal([]byte(document), &kind); err != nil {
				fail(file, "", err)
			}
			name := kind.APIVersion + "/" + kind.Kind
			target, known := kinds[name]
			if !known {
				if group, _, named := strings.Cut(kind.APIVersion, "/"); named && custom(group) {
					fail(file, name, fmt.Errorf("not a kind that is known here"))
				}
				continue
			}
			if err := yaml.UnmarshalStrict([]byte(document), target()); err != nil {
				fail(file, name, err)
			}
			fmt.Println("decoded", name)
		}
	}
}

// Kubernetes' own groups have no dot, or end in k8s.io; gateways' and certificates' do neither or are looked up first.
func custom(group string) bool {
	return strings.Contains(group, ".") && (!strings.HasSuffix(group, ".k8s.io") || strings.HasPrefix(group, "gateway."))
}

func fail(file, kind string, err error) {
	fmt.Fprintln(os.Stderr, file, kind, err)
	os.Exit(1)
}
