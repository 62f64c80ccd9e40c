package redis

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/url"
	"os"
	"time"
)

// The parameters of a URL that say how TLS is done.
const (
	tlsCA         = "tls_ca"          // a PEM file of the authorities to trust, in place of the system's
	tlsCert       = "tls_cert"        // PEM files of our own certificate
	tlsKey        = "tls_key"         // and its key, for a server that wants one
	tlsServerName = "tls_server_name" // what the server's certificate has to be for, if not the URL's host
	tlsSkipVerify = "skip_verify"     // the driver's own: trust whoever answers
)

// tlsFor is how the servers of a URL are talked to: nil for no TLS. given is the
// caller's own configuration, which takes the place of all parameters.
func tlsFor(u *url.URL, query url.Values, given *tls.Config) (*tls.Config, error) {
	ca, cert, key, server := take(query, tlsCA), take(query, tlsCert), take(query, tlsKey), take(query, tlsServerName)
	asked := ca+cert+key+server != "" || query.Has(tlsSkipVerify)
	skip, err := takeBool(query, tlsSkipVerify)
	if err != nil {
		return nil, err
	}
	switch {
	case !forms[u.Scheme].tls && (asked || given != nil):
		return nil, invalid("TLS is configured, but the scheme does without: use rediss://, rediss+sentinel:// or rediss+cluster://")
	case !forms[u.Scheme].tls:
		return nil, nil
	case given != nil && asked:
		return nil, invalid("TLS is configured twice: in the URL, and by the program")
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if given != nil {
		c = given.Clone()
	}
	if c.ServerName == "" && forms[u.Scheme].form == single {
		c.ServerName = u.Hostname() // of several hosts, each has to prove its own name
	}
	if server != "" {
		c.ServerName = server
	}
	if skip {
		c.InsecureSkipVerify = true // the user asked for it by name
	}
	if ca != "" {
		if c.RootCAs, err = authorities(ca); err != nil {
			return nil, err
		}
	}
	if cert != "" || key != "" {
		own, err := ownCertificate(cert, key)
		if err != nil {
			return nil, err
		}
		c.Certificates = []tls.Certificate{own}
	}
	return c, nil
}

func authorities(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, invalid(tlsCA + ": " + err.Error())
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, invalid(tlsCA + ": no certificate in PEM form in " + file)
	}
	return pool, nil
}

func ownCertificate(cert, key string) (tls.Certificate, error) {
	if cert == "" || key == "" {
		return tls.Certificate{}, invalid(tlsCert + " and " + tlsKey + " go together")
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return tls.Certificate{}, invalid(tlsCert + " and " + tlsKey + ": " + err.Error())
	}
	return pair, nil
}

const notTLSAdvice = "the server doesn't speak TLS on this port: check the port, or use redis:// in place of rediss://"

// plainTimeout bounds the question of speaksPlain.
const plainTimeout = 500 * time.Millisecond

// speaksPlain reports whether a server that should speak TLS answers without it. A
// Redis server on a plain port takes the start of a handshake for half a request,
// and waits for the rest. So the handshake ends in a timeout that says nothing.
func (t *target) speaksPlain(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, plainTimeout)
	defer cancel()
	var dialer net.Dialer
	for _, addr := range t.byTLS {
		conn, err := dialer.DialContext(ctx, "tcp", addr)
		if err != nil {
			continue
		}
		deadline, _ := ctx.Deadline()
		_ = conn.SetDeadline(deadline)
		answer := make([]byte, 1)
		_, err = io.WriteString(conn, "PING\r\n")
		if err == nil {
			_, err = io.ReadFull(conn, answer)
		}
		_ = conn.Close()
		if err == nil && (answer[0] == '+' || answer[0] == '-') { // a reply or an error, both of Redis
			return true
		}
	}
	return false
}

// tlsAdvice says what to do about a handshake that failed, "" if err is none.
// All of these fail again until somebody changes something.
func tlsAdvice(err error) string {
	var unverified *tls.CertificateVerificationError
	var notTLS tls.RecordHeaderError
	var remote *net.OpError
	var host x509.HostnameError
	switch {
	case errors.As(err, &host):
		return "the server's certificate is for another name: check the host, or set " + tlsServerName
	case errors.As(err, &unverified):
		return "the server's certificate is not trusted: check " + tlsCA + ", and the certificate's dates"
	case errors.As(err, &notTLS):
		return notTLSAdvice
	case errors.As(err, &remote) && remote.Op == "remote error": // an alert, by its only public mark
		return "the server refuses our TLS: check " + tlsCert + " and " + tlsKey
	}
	return ""
}
