/* Every limit of the project on what an outsider can choose, in one list. Sizes are in bytes. */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

enum {
    /* Texts and trees */
    LIMIT_MANIFEST_BYTES = 1024 * 1024,  /* a manifest file, checked before it is read */
    LIMIT_JSON_BYTES = 8 * 1024 * 1024,  /* a JSON text from outside */
    LIMIT_TREE_DEPTH = 64,               /* nesting of JSON, YAML and values */
    LIMIT_TREE_NODES = 1000 * 1000,      /* nodes of one JSON or YAML tree */
    LIMIT_YAML_DOCUMENTS = 64,           /* documents in one file */
    LIMIT_LOG_LINE_BYTES = 16 * 1024,    /* a longer line is cut */
    LIMIT_FILE_BYTES = 64 * 1024 * 1024, /* any file that is read whole */

    /* Names */
    LIMIT_LABEL_BYTES = 63, /* entry and child names: DNS labels */
    LIMIT_SYSTEM_NAME_BYTES = 40,
    LIMIT_KEY_BYTES = 256,           /* key of a keyed actor, before percent-encoding */
    LIMIT_ADDRESS_BYTES = 1024,      /* bank/tellers.0/counter, or with an encoded key */
    LIMIT_BEHAVIOR_NAME_BYTES = 128, /* bank.teller */
    LIMIT_MESSAGE_TYPE_BYTES = 128,  /* the method name of a message */

    /* Messages and streams */
    LIMIT_VALUE_BYTES = 4 * 1024 * 1024,        /* one msgpack value */
    LIMIT_FRAME_BYTES = 8 * 1024 * 1024,        /* one gRPC message of any of our protocols */
    LIMIT_WRITE_QUEUE_BYTES = 16 * 1024 * 1024, /* what one stream holds back for a slow peer */
    LIMIT_STREAMS = 4096,                       /* at one time, of one server */
    LIMIT_HTTP_BODY_BYTES = 4 * 1024 * 1024,    /* of one HTTP request */
    LIMIT_KUBE_LIST_BYTES = 256 * 1024 * 1024,  /* a page of a list; its objects are read one by one */
    LIMIT_STATUS_TEXT_BYTES = 1024,             /* a reason or message in a status */
    LIMIT_CAUSE_BYTES = 4096,                   /* why an actor ended, with its stack, in a signal */

    /* Worker processes */
    LIMIT_HOST_FRAME_BYTES = LIMIT_VALUE_BYTES + 64 * 1024, /* one frame, either way */
    LIMIT_HOST_TEXT_BYTES = 512,                            /* an interned text */
    LIMIT_HOST_TEXTS = 65536,                               /* of one side of a connection */
    LIMIT_HOST_ACTORS = 100000,                             /* of one process */
    LIMIT_HOST_PROCESSES = 1000,                            /* of one node */
    LIMIT_HOST_REQUESTS = 256 * 1024,                       /* open asks of one process */
    LIMIT_HOST_WATCHES = 4096,                              /* monitors or timers of one hosted actor */
    LIMIT_HOST_BUFFER_BYTES = 16 * 1024 * 1024,             /* not yet taken by a process: its actors pause */
    LIMIT_HOST_SHARED_BYTES = 1024 * 1024 * 1024,           /* the large data of one message */
    LIMIT_HOST_SNAPSHOT_BYTES = 1024 * 1024 * 1024,         /* states that a node keeps, all together */

    /* A system */
    LIMIT_ENTRIES = 1000,   /* entries of spec.actors */
    LIMIT_CHILDREN = 64,    /* children of one entry */
    LIMIT_REPLICAS = 10000, /* of one entry */
    LIMIT_UNITS = 100000,   /* of one system */
    LIMIT_NODES = 1000,
    LIMIT_MAILBOX_CAPACITY = 1000 * 1000,
};

#endif
