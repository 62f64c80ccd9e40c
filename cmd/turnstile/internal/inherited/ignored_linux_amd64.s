//go:build !cgo

#include "textflag.h"

// int turnstile_sigaction(int sig, const struct sigaction *new, struct sigaction *old)
// notes in asked a signal that is ignored, and always returns EINVAL. old is the
// kernel's structure and begins with the action; the runtime fills it once more.
TEXT turnstile_sigaction(SB), NOSPLIT|NOFRAME, $0
	TESTQ	SI, SI
	JNZ	leave
	TESTQ	DX, DX
	JZ	leave
	MOVL	$8, R10      // bytes of a signal set
	MOVL	$13, AX      // rt_sigaction
	SYSCALL
	TESTQ	AX, AX
	JNZ	leave
	CMPQ	(DX), $1     // SIG_IGN
	JNE	leave
	LEAQ	-1(DI), CX
	MOVL	$1, R8
	SHLQ	CX, R8
	ORQ	R8, ·asked(SB)
leave:
	MOVL	$22, AX      // EINVAL
	RET
