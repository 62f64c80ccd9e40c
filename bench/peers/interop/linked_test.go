package interop

// The backend that these tests open by URL.
import _ "github.com/turnstile-go/turnstile/backends/redis"
