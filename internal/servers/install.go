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
// machine of our own, installs it. Test processes that do so at the same time
// queue at dpkg's lock.
func ensureInstalled(k kind) error {
	installing.Lock()
	defer installing.Unlock()
	if _, err := exec.LookPath(k.binary); err == nil {
		return nil
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("servers: %s is missing, and installing it takes root: apt-get install -y %s", k.binary, k.pkg)
	}
	ctx, cancel := context.WithTimeout(context.Background(), installTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "apt-get", "install", "-y", "--no-install-recommends",
		"-o", "DPkg::Lock::Timeout=240", k.pkg)
	// Without RUNLEVEL the package's script would start a server of its own on
	// the standard port, and tests would meet it.
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("servers: %s is missing, and apt-get install -y %s failed: %w\n%s", k.binary, k.pkg, err, out)
	}
	if _, err := exec.LookPath(k.binary); err != nil {
		return fmt.Errorf("servers: %s is missing after apt-get install -y %s: %w", k.binary, k.pkg, err)
	}
	return nil
}
