/* Functions that are easy to use wrongly do not compile. What to use instead stands in each name. */
#ifndef BASE_BANNED_H
#define BASE_BANNED_H

/* The system's declarations come first, or the macros would rewrite them. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#undef strcpy
#define strcpy(...) BANNED_strcpy_use_str_append_or_snprintf
#undef strncpy
#define strncpy(...) BANNED_strncpy_use_snprintf_or_xstrndup
#undef strcat
#define strcat(...) BANNED_strcat_use_str_append
#undef strncat
#define strncat(...) BANNED_strncat_use_str_append
#undef stpcpy
#define stpcpy(...) BANNED_stpcpy_use_str_append
#undef sprintf
#define sprintf(...) BANNED_sprintf_use_str_appendf_or_snprintf
#undef vsprintf
#define vsprintf(...) BANNED_vsprintf_use_str_vappendf
#undef gets
#define gets(...) BANNED_gets
#undef strtok
#define strtok(...) BANNED_strtok_use_strchrnul
#undef atoi
#define atoi(...) BANNED_atoi_use_text_to_u64
#undef atol
#define atol(...) BANNED_atol_use_text_to_u64
#undef atoll
#define atoll(...) BANNED_atoll_use_text_to_u64
#undef atof
#define atof(...) BANNED_atof_use_json
#undef localtime
#define localtime(...) BANNED_localtime_use_localtime_r
#undef gmtime
#define gmtime(...) BANNED_gmtime_use_gmtime_r
#undef ctime
#define ctime(...) BANNED_ctime_use_clock_format_wall
#undef asctime
#define asctime(...) BANNED_asctime_use_clock_format_wall
#undef rand
#define rand(...) BANNED_rand_use_rng
#undef srand
#define srand(...) BANNED_srand_use_rng
#undef random
#define random(...) BANNED_random_use_rng
#undef tmpnam
#define tmpnam(...) BANNED_tmpnam_use_mkdtemp
#undef mktemp
#define mktemp(...) BANNED_mktemp_use_mkdtemp
#undef system
#define system(...) BANNED_system_use_posix_spawn
#undef popen
#define popen(...) BANNED_popen_use_posix_spawn

#endif
