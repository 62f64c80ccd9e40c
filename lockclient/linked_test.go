package lockclient_test

// The backends that these tests open by URL.
import (
	_ "github.com/turnstile-go/turnstile/backends/file"
	_ "github.com/turnstile-go/turnstile/backends/memcache"
	_ "github.com/turnstile-go/turnstile/backends/redis"
)
