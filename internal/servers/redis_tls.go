package servers

import (
	"crypto/tls"
	"net"
)

// A TLSConfig says how a Redis server speaks TLS. Files are in PEM.
type TLSConfig struct {
	// CertFile and KeyFile are the server's own.
	CertFile, KeyFile string
	// CAFile is the authority that the server trusts for its clients.
	CAFile string
	// AskClients makes the server refuse clients without a certificate of CAFile's
	// (tls-auth-clients).
	AskClients bool
	// Probe is for asking the server whether it is ready. It has to get through to a
	// server whose certificate is bad on purpose; it knows the right process by its
	// id.
	Probe *tls.Config
}

// StartRedisTLS starts a Redis server that speaks TLS and nothing else; args are
// appended to its own. Its URL begins with rediss://. The caller closes it.
func StartRedisTLS(config TLSConfig, args ...string) (*Server, error) {
	askClients := "no"
	if config.AskClients {
		askClients = "yes"
	}
	k := redisKind
	k.scheme = "rediss"
	k.args = func(port, dir string) []string {
		return append(redisKind.args("0", dir), "--tls-port", port,
			"--tls-cert-file", config.CertFile, "--tls-key-file", config.KeyFile,
			"--tls-ca-cert-file", config.CAFile, "--tls-auth-clients", askClients)
	}
	k.dial = func(addr string) (net.Conn, error) {
		return tls.DialWithDialer(&net.Dialer{Timeout: probeTimeout}, "tcp", addr, config.Probe)
	}
	return start(k, args)
}
