#include "types/fence_record.h"

#include "base/mem.h"
#include "base/str.h"

static char *dup_or_null(const char *text)
{
    return text ? xstrdup(text) : NULL;
}

static void roster_member_done(struct roster_member *member)
{
    free(member->node);
    free(member->pod_uid);
    free(member->link_address);
    free(member->gateway_address);
}

void roster_done(struct roster *roster)
{
    vec_for_each (member, &roster->members)
        roster_member_done(member);
    vec_done(&roster->members);
    roster->version = 0;
}

void roster_add(struct roster *roster, const struct roster_member *member)
{
    struct roster_member *copy = vec_push_new(&roster->members);
    copy->uid = member->uid;
    copy->node = dup_or_null(member->node);
    copy->pod_uid = dup_or_null(member->pod_uid);
    copy->link_address = dup_or_null(member->link_address);
    copy->gateway_address = dup_or_null(member->gateway_address);
}

void roster_copy(struct roster *to, const struct roster *from)
{
    to->version = from->version;
    vec_for_each (member, &from->members)
        roster_add(to, member);
}

const struct roster_member *roster_find(const struct roster *roster, uint64_t uid)
{
    vec_for_each (member, &roster->members)
        if (member->uid == uid)
            return member;
    return NULL;
}

bool roster_remove(struct roster *roster, uint64_t uid)
{
    for (size_t i = 0; i < roster->members.count; i++) {
        if (roster->members.items[i].uid != uid)
            continue;
        roster_member_done(&roster->members.items[i]);
        vec_remove_at(&roster->members, i);
        return true;
    }
    return false;
}

void fence_record_done(struct fence_record *record)
{
    free(record->system);
    free(record->system_uid);
    roster_done(&record->current);
    roster_done(&record->previous);
    vec_done(&record->dead_uids);
    vec_for_each (node, &record->cordons)
        free(*node);
    vec_done(&record->cordons);
    vec_for_each (quarantine, &record->quarantines) {
        free(quarantine->unit);
        free(quarantine->reason);
    }
    vec_done(&record->quarantines);
    *record = (struct fence_record){0};
}

void fence_record_copy(struct fence_record *to, const struct fence_record *from)
{
    *to = (struct fence_record){
        .system = dup_or_null(from->system),
        .system_uid = dup_or_null(from->system_uid),
        .term = from->term,
        .lease_ms = from->lease_ms,
        .is_committed = from->is_committed,
        .next_serial = from->next_serial,
        .spread_nodes = from->spread_nodes,
    };
    roster_copy(&to->current, &from->current);
    roster_copy(&to->previous, &from->previous);
    vec_for_each (uid, &from->dead_uids)
        vec_push(&to->dead_uids, *uid);
    vec_for_each (node, &from->cordons)
        vec_push(&to->cordons, xstrdup(*node));
    vec_for_each (quarantine, &from->quarantines)
        fence_record_add_quarantine(to, quarantine->unit, quarantine->reason, quarantine->at_wall_ms);
}

bool fence_record_is_dead(const struct fence_record *record, uint64_t uid)
{
    vec_for_each (dead, &record->dead_uids)
        if (*dead == uid)
            return true;
    return false;
}

bool fence_record_add_dead(struct fence_record *record, uint64_t uid)
{
    if (fence_record_is_dead(record, uid))
        return false;
    if (record->dead_uids.count >= FENCE_DEAD_UIDS_MAX)
        vec_remove_at(&record->dead_uids, 0);
    vec_push(&record->dead_uids, uid);
    return true;
}

const struct quarantine_record *fence_record_quarantine(const struct fence_record *record, const char *unit)
{
    vec_for_each (quarantine, &record->quarantines)
        if (text_equal(quarantine->unit, unit))
            return quarantine;
    return NULL;
}

void fence_record_add_quarantine(
    struct fence_record *record, const char *unit, const char *reason, int64_t at_wall_ms)
{
    struct quarantine_record *quarantine = vec_push_new(&record->quarantines);
    quarantine->unit = xstrdup(unit);
    quarantine->reason = xstrdup(reason);
    quarantine->at_wall_ms = at_wall_ms;
}

bool fence_record_remove_quarantine(struct fence_record *record, const char *unit)
{
    for (size_t i = 0; i < record->quarantines.count; i++) {
        struct quarantine_record *quarantine = &record->quarantines.items[i];
        if (!text_equal(quarantine->unit, unit))
            continue;
        free(quarantine->unit);
        free(quarantine->reason);
        vec_remove_at(&record->quarantines, i);
        return true;
    }
    return false;
}
