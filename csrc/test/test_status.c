/* Names of statuses, the digest, the paths. */
#include <string.h>

#include "check.h"

int main(void)
{
    CHECK(strcmp(mgk_status_name(MGK_OK), "MGK_OK") == 0);
    CHECK(strcmp(mgk_status_name(MGK_OVERFLOW), "MGK_OVERFLOW") == 0);
    CHECK(strcmp(mgk_status_name((mgk_status)99), "unknown") == 0);
    for (int a = MGK_OK; a <= MGK_MISALIGNED; a++) {
        CHECK(strncmp(mgk_status_name((mgk_status)a), "MGK_", 4) == 0);
        for (int b = MGK_OK; b < a; b++) {
            CHECK(strcmp(mgk_status_name((mgk_status)a), mgk_status_name((mgk_status)b)) != 0);
        }
    }

    CHECK_EQUAL(64, strlen(mgk_header_digest()));
    CHECK_EQUAL(64, strspn(mgk_header_digest(), "0123456789abcdef"));

    CHECK_EQUAL(1, mgk_has_path(MGK_SCALAR));
    CHECK_EQUAL(0, mgk_has_path((mgk_path)99));
    CHECK(!(mgk_has_path(MGK_NEON) && mgk_has_path(MGK_AVX2)));
    CHECK(!mgk_has_path(MGK_AVX512) || mgk_has_path(MGK_AVX2));
    return check_result("status");
}
