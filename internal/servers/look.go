package servers

import (
	"fmt"
	"os/exec"
)

// look finds a program of a Debian package. Nothing is installed here: that takes
// root and a network, and a developer who runs tests has asked for neither.
func look(binary, pkg string) (path string, err error) {
	path, err = exec.LookPath(binary)
	if err != nil {
		return "", missing(binary, pkg, err)
	}
	return path, nil
}

// missing is the error for a program that is not there; it says what to do.
func missing(what, pkg string, why error) error {
	return fmt.Errorf("servers: %s is missing; run \"make setup\" (or install the package %s): %w", what, pkg, why)
}
