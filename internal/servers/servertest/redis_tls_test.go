package servertest

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"strings"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/turnstile-go/turnstile/internal/servers"
)

// pingTLS is what a client with the config makes of the server.
func pingTLS(t *testing.T, s *servers.Server, config *tls.Config) error {
	t.Helper()
	return s.RedisClient(t, &goredis.Options{TLSConfig: config, MaxRetries: -1, DialerRetries: 1}).Ping(t.Context()).Err()
}

func TestATLSServerIsReachedWithItsAuthorityAlone(t *testing.T) {
	ca := NewAuthority(t)
	s := RedisTLS(t, TLSConfig{Authority: ca})
	if want := "rediss://" + s.Addr; s.URL() != want {
		t.Errorf("URL %s, want %s", s.URL(), want)
	}
	if err := pingTLS(t, s, ca.Config()); err != nil {
		t.Errorf("with its authority: %v", err)
	}
	localhost := ca.Config()
	localhost.ServerName = "localhost"
	if err := pingTLS(t, s, localhost); err != nil {
		t.Errorf("by its name: %v", err)
	}
	var unknown x509.UnknownAuthorityError
	if err := pingTLS(t, s, NewAuthority(t).Config()); !errors.As(err, &unknown) {
		t.Errorf("with another authority: %v, want an unknown authority", err)
	}
	if err := pingTLS(t, s, nil); err == nil {
		t.Error("it answered in plain text")
	}
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	if err := pingTLS(t, s, ca.Config()); err != nil {
		t.Errorf("after a restart: %v", err)
	}
}

func TestBadServerCertificatesAreRefused(t *testing.T) {
	ca := NewAuthority(t)
	expired, elsewhere := ca.Expired(), ca.ServerFor("redis.example", "192.0.2.1")
	if err := pingTLS(t, RedisTLS(t, TLSConfig{Authority: ca, Certificate: &expired}), ca.Config()); !isInvalid(err, x509.Expired) {
		t.Errorf("expired: %v", err)
	}
	s := RedisTLS(t, TLSConfig{Authority: ca, Certificate: &elsewhere})
	var otherName x509.HostnameError
	if err := pingTLS(t, s, ca.Config()); !errors.As(err, &otherName) {
		t.Errorf("for another name: %v", err)
	}
	config := ca.Config()
	config.ServerName = "redis.example"
	if err := pingTLS(t, s, config); err != nil {
		t.Errorf("by that name: %v", err)
	}
}

func isInvalid(err error, why x509.InvalidReason) bool {
	var invalid x509.CertificateInvalidError
	return errors.As(err, &invalid) && invalid.Reason == why
}

func TestAServerThatAsksClientsTakesThoseOfItsAuthority(t *testing.T) {
	ca := NewAuthority(t)
	s := RedisTLS(t, TLSConfig{Authority: ca, AskClients: true})
	if err := pingTLS(t, s, ca.Config(ca.Client("worker"))); err != nil {
		t.Errorf("with a certificate: %v", err)
	}
	var err error
	for range 20 { // what the server has to say may be lost with the connection that it ends
		if err = pingTLS(t, s, ca.Config()); err == nil || strings.Contains(err.Error(), "certificate") {
			break
		}
	}
	if err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("with none: %v, want that a certificate is asked for", err)
	}
	if err := pingTLS(t, s, ca.Config(NewAuthority(t).Client("stranger"))); err == nil {
		t.Error("a stranger's certificate was taken")
	}
}
