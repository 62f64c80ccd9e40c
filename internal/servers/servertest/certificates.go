package servertest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// An Authority is a certificate authority that lives as long as one test. Two
// of them don't trust each other.
type Authority struct {
	// File holds the authority's own certificate, in PEM.
	File string

	t   testing.TB
	dir string // of all files; the test's own, and gone with it
	own *x509.Certificate
	key *ecdsa.PrivateKey
	// made is how many certificates there are so far: their serial numbers and file
	// names. Tests of one authority run side by side.
	made atomic.Int64
}

// A Certificate is a signed key pair, as files for servers and in memory for
// Go clients.
type Certificate struct {
	// File and KeyFile are in PEM.
	File, KeyFile string
	TLS           tls.Certificate
}

// NewAuthority makes an authority for one test.
func NewAuthority(t testing.TB) *Authority {
	t.Helper()
	a := &Authority{t: t, dir: t.TempDir()}
	template := a.template("authority", time.Now().Add(time.Hour))
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign
	c := a.sign(template)
	a.File = c.File
	return a
}

// Server is a certificate of a server on this machine: 127.0.0.1 and localhost.
func (a *Authority) Server() Certificate {
	a.t.Helper()
	return a.sign(a.serverTemplate(time.Now().Add(time.Hour), "127.0.0.1", "localhost"))
}

// ServerFor is a certificate of a server with other names or addresses. For a
// client that connects to 127.0.0.1 it is the wrong server.
func (a *Authority) ServerFor(names ...string) Certificate {
	a.t.Helper()
	return a.sign(a.serverTemplate(time.Now().Add(time.Hour), names...))
}

// Expired is a certificate of a server on this machine that was valid until a
// minute ago.
func (a *Authority) Expired() Certificate {
	a.t.Helper()
	return a.sign(a.serverTemplate(time.Now().Add(-time.Minute), "127.0.0.1", "localhost"))
}

// Client is a certificate that a client of the given name shows to a server.
func (a *Authority) Client(name string) Certificate {
	a.t.Helper()
	template := a.template(name, time.Now().Add(time.Hour))
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	return a.sign(template)
}

// Config is the TLS side of a client that trusts this authority and no other,
// and shows the certificates, if any.
func (a *Authority) Config(own ...Certificate) *tls.Config {
	config := &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
	config.RootCAs.AddCert(a.own)
	for _, c := range own {
		config.Certificates = append(config.Certificates, c.TLS)
	}
	return config
}

func (a *Authority) serverTemplate(until time.Time, names ...string) *x509.Certificate {
	template := a.template(names[0], until)
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	return template
}

func (a *Authority) template(name string, until time.Time) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(a.made.Add(1)),
		Subject:      pkix.Name{CommonName: name},
		// Well in the past: a clock that is set back a little while a test runs
		// must not make a fresh certificate one of the future.
		NotBefore: time.Now().Add(-time.Hour),
		NotAfter:  until,
		KeyUsage:  x509.KeyUsageDigitalSignature,
	}
}

// sign makes a key, has the authority sign for it (the first one itself) and
// writes both down.
func (a *Authority) sign(template *x509.Certificate) Certificate {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	a.must(err)
	parent, signer := a.own, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	a.must(err)
	leaf, err := x509.ParseCertificate(der)
	a.must(err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	a.must(err)
	if a.own == nil {
		a.own, a.key = leaf, key
	}
	return Certificate{
		File:    a.write(template.SerialNumber, "CERTIFICATE", "crt", der),
		KeyFile: a.write(template.SerialNumber, "PRIVATE KEY", "key", keyDER),
		TLS:     tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf},
	}
}

func (a *Authority) write(number *big.Int, kind, suffix string, der []byte) string {
	a.t.Helper()
	path := filepath.Join(a.dir, fmt.Sprintf("%d.%s", number, suffix))
	a.must(os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
	return path
}

func (a *Authority) must(err error) {
	a.t.Helper()
	if err != nil {
		a.t.Fatalf("servers: certificate: %v", err)
	}
}
