//go:build !cgo

#include "textflag.h"

// int turnstile_sigaction(int sig, const struct sigaction *new, struct sigaction *old)
// notes in asked a signal that is ignored, and always returns EINVAL. old is the
// kernel's structure and begins with the action; the runtime fills it once more.
TEXT turnstile_sigaction(SB), NOSPLIT|NOFRAME, $0
	CBNZ	R1, leave
	CBZ	R2, leave
	MOVD	R0, R4
	MOVD	$8, R3       // bytes of a signal set
	MOVD	$134, R8     // rt_sigaction
	SVC
	CBNZ	R0, leave
	MOVD	(R2), R5
	CMP	$1, R5       // SIG_IGN
	BNE	leave
	SUB	$1, R4
	LSL	R4, R5       // 1 << (sig-1)
	MOVD	·asked(SB), R6
	ORR	R5, R6
	MOVD	R6, ·asked(SB)
leave:
	MOVD	$22, R0      // EINVAL
	RET
