#include "textflag.h"

// The instructions, and the order in which they have to come, are those of "Intel SHA Extensions" (July 2013), once for each of two messages.
//
//	X0         what SHA256RNDS2 takes for granted: two words of the message, each with its constant
//	X1  X2     a's f e b a and h g d c
//	X3 … X6    a's 16 words of the message
//	X7  X8     b's f e b a and h g d c
//	X9 … X12   b's 16 words of the message
//	X13 X14    for a moment
//	X15        the order of the bytes in a word

// LOAD reads four words.
#define LOAD(from, words) \
	MOVOU from, words; \
	PSHUFB X15, words

// ROUNDS does four rounds of both messages, by turns, so that none waits for itself.
#define ROUNDS(n, a, b) \
	MOVOU (16*n)(AX), X13; \
	MOVO X13, X0; \
	PADDD a, X0; \
	PADDD b, X13; \
	PSHUFD $0x0e, X0, X14; \
	SHA256RNDS2 X0, X1, X2; \
	MOVO X13, X0; \
	PSHUFD $0x0e, X13, X13; \
	SHA256RNDS2 X0, X7, X8; \
	MOVO X14, X0; \
	SHA256RNDS2 X0, X2, X1; \
	MOVO X13, X0; \
	SHA256RNDS2 X0, X8, X7

// NEXT makes four more words of the last 16: EARLY the part that needs the oldest eight, LATE the rest.
#define EARLY(oldest, old) \
	SHA256MSG1 old, oldest

#define LATE(before, last, next) \
	MOVO last, X13; \
	PALIGNR $4, before, X13; \
	PADDD X13, next; \
	SHA256MSG2 last, next

#define NEXT(n, a0, a, a1, b0, b, b1) \
	ROUNDS(n, a, b); \
	LATE(a0, a, a1); \
	LATE(b0, b, b1); \
	EARLY(a0, a); \
	EARLY(b0, b)

// func blocks(a, b *state, one, two []byte)
TEXT ·blocks(SB), NOSPLIT, $0-64
	MOVQ a+0(FP), DI
	MOVQ b+8(FP), SI
	MOVQ one_base+16(FP), R8
	MOVQ one_len+24(FP), CX
	MOVQ two_base+40(FP), R9
	SHRQ $6, CX
	JZ   done
	LEAQ ·constants(SB), AX
	MOVOU ·bigEndian(SB), X15
	MOVOU 0(DI), X1
	MOVOU 16(DI), X2
	MOVOU 0(SI), X7
	MOVOU 16(SI), X8

block:
	LOAD(0(R8), X3)
	LOAD(16(R8), X4)
	LOAD(32(R8), X5)
	LOAD(48(R8), X6)
	LOAD(0(R9), X9)
	LOAD(16(R9), X10)
	LOAD(32(R9), X11)
	LOAD(48(R9), X12)

	ROUNDS(0, X3, X9)
	ROUNDS(1, X4, X10)
	EARLY(X3, X4)
	EARLY(X9, X10)
	ROUNDS(2, X5, X11)
	EARLY(X4, X5)
	EARLY(X10, X11)
	NEXT(3, X5, X6, X3, X11, X12, X9)
	NEXT(4, X6, X3, X4, X12, X9, X10)
	NEXT(5, X3, X4, X5, X9, X10, X11)
	NEXT(6, X4, X5, X6, X10, X11, X12)
	NEXT(7, X5, X6, X3, X11, X12, X9)
	NEXT(8, X6, X3, X4, X12, X9, X10)
	NEXT(9, X3, X4, X5, X9, X10, X11)
	NEXT(10, X4, X5, X6, X10, X11, X12)
	NEXT(11, X5, X6, X3, X11, X12, X9)
	NEXT(12, X6, X3, X4, X12, X9, X10)
	ROUNDS(13, X4, X10)
	LATE(X3, X4, X5)
	LATE(X9, X10, X11)
	ROUNDS(14, X5, X11)
	LATE(X4, X5, X6)
	LATE(X10, X11, X12)
	ROUNDS(15, X6, X12)

	MOVOU 0(DI), X13
	MOVOU 16(DI), X14
	PADDD X13, X1
	PADDD X14, X2
	MOVOU X1, 0(DI)
	MOVOU X2, 16(DI)
	MOVOU 0(SI), X13
	MOVOU 16(SI), X14
	PADDD X13, X7
	PADDD X14, X8
	MOVOU X7, 0(SI)
	MOVOU X8, 16(SI)
	ADDQ $64, R8
	ADDQ $64, R9
	DECQ CX
	JNZ  block

done:
	RET

// func hasSHA() bool
TEXT ·hasSHA(SB), NOSPLIT, $0-1
	MOVB $0, ret+0(FP)
	XORL AX, AX
	CPUID
	CMPL AX, $7
	JB   none
	MOVL $7, AX
	XORL CX, CX
	CPUID
	BTL  $29, BX
	SETCS ret+0(FP)

none:
	RET
