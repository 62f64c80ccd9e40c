package servers

import (
	"fmt"
	"os/exec"
)

// pythons are where a Python with redis-py is looked for. The system's comes
// first, since the package is the system's: another Python may come first on
// PATH, and know nothing of it.
var pythons = []string{"/usr/bin/python3", "python3"}

// Python finds a Python 3 that has redis-py. It starts an interpreter to see: a
// caller asks once.
func Python() (path string, err error) {
	var failure error
	for _, path := range pythons {
		out, err := exec.Command(path, "-c", "import redis").CombinedOutput()
		if err == nil {
			return path, nil
		}
		failure = fmt.Errorf("%s: %w\n%s", path, err, out)
	}
	return "", missing("a Python with redis-py", "python3-redis", failure)
}
