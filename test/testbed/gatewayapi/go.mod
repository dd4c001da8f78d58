// Pins the Gateway API, whose CRDs the test bed installs from the module's own files.
module gatewayapi

go 1.26.0

require sigs.k8s.io/gateway-api v1.7.0
