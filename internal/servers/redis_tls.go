package servers

import (
	"crypto/tls"
	"net"
	"testing"
)

// A TLSConfig says how a Redis server speaks TLS.
type TLSConfig struct {
	// Authority signs, and is whom the server trusts for its clients.
	Authority *Authority
	// Certificate is what the server shows; nil is one that is in order.
	Certificate *Certificate
	// AskClients makes the server refuse clients without a certificate of the
	// authority's (tls-auth-clients).
	AskClients bool
}

// RedisTLS starts a Redis server for one test that speaks TLS and nothing
// else, and closes it at the test's end. Its URL begins with rediss://.
func RedisTLS(t testing.TB, config TLSConfig, args ...string) *Server {
	t.Helper()
	s, err := start(tlsKind(config), args)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func tlsKind(config TLSConfig) kind {
	if config.Certificate == nil {
		shown := config.Authority.Server()
		config.Certificate = &shown
	}
	askClients := "no"
	if config.AskClients {
		askClients = "yes"
	}
	k := redisKind
	k.scheme = "rediss"
	k.args = func(port, dir string) []string {
		return append(redisKind.args("0", dir), "--tls-port", port,
			"--tls-cert-file", config.Certificate.File, "--tls-key-file", config.Certificate.KeyFile,
			"--tls-ca-cert-file", config.Authority.File, "--tls-auth-clients", askClients)
	}
	probe := config.Authority.Config(config.Authority.Client("probe"))
	// The probe has to get through to a server whose certificate is bad on
	// purpose. It knows the right process by its id.
	probe.InsecureSkipVerify = true
	k.dial = func(addr string) (net.Conn, error) {
		return tls.DialWithDialer(&net.Dialer{Timeout: probeTimeout}, "tcp", addr, probe)
	}
	return k
}
