package servers

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"time"
)

const installTimeout = 5 * time.Minute

// installing protects the one installation a process does at a time.
var installing sync.Mutex

// ensureInstalled looks for the program and, where it is missing on a Debian
// machine of our own, installs it.
func ensureInstalled(k kind) error {
	return ensure(k.binary, k.pkg, func() error {
		_, err := exec.LookPath(k.binary)
		return err
	})
}

// ensure installs a Debian package unless what it brings is there. Test
// processes that do so at the same time queue at dpkg's lock.
func ensure(what, pkg string, look func() error) error {
	installing.Lock()
	defer installing.Unlock()
	if look() == nil {
		return nil
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("servers: %s is missing, and installing it takes root: apt-get install -y %s", what, pkg)
	}
	ctx, cancel := context.WithTimeout(context.Background(), installTimeout)
	defer cancel()
	install := []string{"install", "-y", "--no-install-recommends", pkg}
	out, err := aptGet(ctx, install...)
	if err != nil {
		// A fresh machine has no package lists, or some that name what is gone.
		if _, err := aptGet(ctx, "update"); err == nil {
			out, _ = aptGet(ctx, install...)
		}
	}
	if err := look(); err != nil {
		return fmt.Errorf("servers: %s is missing after apt-get install -y %s: %w\n%s", what, pkg, err, out)
	}
	return nil
}

func aptGet(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "apt-get", append([]string{"-o", "DPkg::Lock::Timeout=240"}, args...)...)
	// Without RUNLEVEL a server's package would start one of its own on the
	// standard port, and tests would meet it.
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1")
	return cmd.CombinedOutput()
}
