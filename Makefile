# Everything a person or CI runs. `make help` lists it.
GO          ?= go
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
BIN         := bin/turnstile
PACKAGES    := ./...
# Those that wait the longest begin first, so that they don't end last.
SLOWEST     := ./faults ./backends/redis ./cmd/turnstile ./backends/memcache ./backends/file

.DEFAULT_GOAL := help
.PHONY: help setup build man run test race lint faults bench figures bench-go bench-check bench-peers numbers clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## install what the tests need: redis-server, memcached, etcd, redis-py, less, vi, the modules
	@./.ci/setup
	$(GO) mod download
	cd bench/peers && $(GO) mod download
	cd examples && $(GO) mod download

# Without cgo the binary needs no C library: it runs in any container, and starts sooner.
# Host names are then resolved by hosts and DNS alone, without the plugins of nsswitch.conf.
build: ## build the command into bin/
	CGO_ENABLED=0 $(GO) build -o $(BIN) ./cmd/turnstile

man: build ## write the man pages into bin/man/
	mkdir -p bin/man
	$(BIN) man bin/man

run: build ## take a first lock and see it
	$(BIN) -v run first_lock -- sh -c 'echo "inside: key $$TURNSTILE_KEY, fence $$TURNSTILE_FENCE"'

# Tests wait more than they work, and none depends on how fast it is: a timeout that
# is reached is a defect.
test: ## all tests; they start the servers they need (under 5 minutes on two cores)
	$(GO) test -p 3 -timeout 15m $(SLOWEST) $(PACKAGES)
	cd bench/peers && $(GO) test -timeout 15m ./...
	cd examples && $(GO) test ./...

race: ## all tests under the race detector
	$(GO) test -race -timeout 20m $(PACKAGES)

faults: ## the long form of the fault tests: processes killed for 30 s (make test runs the short one)
	$(GO) test -timeout 50m -v ./faults -long
	$(GO) test -timeout 10m -v -run "TestSetsNeverWaitInACircle|TestOneOfManyMachines|TestNobodyOvertakes" ./lockclient -long
	$(GO) test -timeout 10m -v -run "Lease|InARow|NeverMeet|NothingOfAKilled" ./cmd/turnstile -long

lint: ## gofmt, vet (Linux, macOS, Windows), staticcheck, the import rules
	@test -z "$$(gofmt -l .)" || { gofmt -d .; exit 1; }
	$(GO) vet $(PACKAGES)
	GOOS=darwin $(GO) vet $(PACKAGES)
	GOOS=windows $(GO) vet $(PACKAGES)
	cd bench/peers && $(GO) vet ./...
	cd examples && $(GO) vet ./...
	$(GO) run $(STATICCHECK) $(PACKAGES)
	$(GO) test -run TestImportRules .

# All strategies in all experiments. What has run before --within is up is kept by
# Ctrl-C; where redis-server or memcached is missing, a line says what is left out.
bench: build ## measure all strategies and write build/bench-report.html (under 5 minutes on two cores)
	@mkdir -p build
	$(BIN) bench --experiments all --short --start-servers --warmup 100ms --duration 500ms --within 3m \
		--save build/bench-report.json --report build/bench-report.html
	@echo "The report: build/bench-report.html; its figures: build/bench-report.json"

FROM ?= build/bench-report.json
figures: build ## draw the README's figures, docs/figures, from FROM=build/bench-report.json
	$(BIN) bench --from $(FROM) --figures docs/figures \
		--strategies channel,turnstile-embedded,turnstile-file,turnstile-redis,turnstile-memcached,pylock,retools,distributedlock

bench-go: ## Go benchmarks: in process, embedded, file, Redis
	$(GO) test -run '^$$' -bench . -benchmem ./bench/...

bench-check: ## hold bench to 15 % of plain Go benchmarks of the same locks (2 to 3 minutes, on an idle machine)
	$(GO) test -count=1 -timeout 10m -run TestFiguresAgree -v ./bench -long

bench-peers: ## beside redsync, redislock, rueidislock, etcd and others; writes bin/peers.html (about 25 minutes)
	@mkdir -p bin
	cd bench/peers && $(GO) run . -report ../../bin/peers.html

# BASE=<revision> measures that one and this tree in alternate rounds, and says what changed.
numbers: ## each goal of docs/benchmarks.md, what was measured, and its rival (under 6 minutes); BASE=<rev>: what changed since
	@mkdir -p bin
	cd bench/peers && $(GO) build -o ../../bin/peers . && ../../bin/peers -numbers $(if $(BASE),-base $(BASE))

clean: ## remove what build made
	rm -rf bin build
