/* Deliberately broken rules, for the test of the tests: the simulator compiles this module once more with
 * HISTRIO_SIM_MUTANTS and switches one on; it must then find a violation. In the product MUTANT() is false.
 */
#ifndef CORE_MUTANT_H
#define CORE_MUTANT_H

#ifdef HISTRIO_SIM_MUTANTS
enum core_mutant {
    MUTANT_NONE,
    MUTANT_FORGETS_IN_FLIGHT,    /* R8: an assignment without an answer is forgotten when its stream breaks */
    MUTANT_REUSES_EPOCH,         /* R1: a unit gets its old epoch again */
    MUTANT_EAGER,                /* R9: places before every roster node has reported */
    MUTANT_IGNORES_QUARANTINE,   /* restarts what is quarantined */
    MUTANT_WRONG_WINDOW,         /* the intensity's window is ten times too short */
    MUTANT_MOVES_WITHOUT_REVOKE, /* a move begins at the target */
    MUTANT_KEEPS_TERM,           /* R0: a new leader goes on in the old term */
    MUTANT_DOES_NOT_WAIT_FOR_FENCE, /* R0: commands before the record is durable */
    MUTANT_GUESSES_DEATH,           /* R6: a broken stream counts as proof */
    MUTANT_MANY_ROSTER_CHANGES,     /* R10: the next roster before the last is committed */
    MUTANT_LOSES_UNIT,              /* liveness: a unit whose node died is not placed again */
    MUTANT_HASTY_ASSERTION,         /* R6: an assertion does not wait for the end of what was permitted */
    MUTANT_BELIEVES_ASSERTION,      /* R6: an assertion is not ignored while echoes are fresh */
    MUTANT_IMPATIENT_ROLLOUT,       /* gives outdated nodes up before others take their place */
    MUTANT_IGNORES_SURGE,           /* makes more nodes than desired + maxSurge */
    MUTANT_FORGETS_TEMPLATE,        /* units go to nodes that will be replaced: they move twice */
    MUTANT_REUSES_NAMES,            /* R0: the serial is not written down before the node is made */
    MUTANT_IGNORES_CONFLICT,        /* R0: a leader whose write met a newer record goes on */
    MUTANT_REMOVES_BEFORE_FENCED,   /* what is left of a node goes before its death is durable */
    MUTANT_COUNT
};
extern enum core_mutant core_mutant;
#define MUTANT(name) (core_mutant == (name))
#else
#define MUTANT(name) 0
#endif

#endif
