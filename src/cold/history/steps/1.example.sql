INSERT INTO runs VALUES (1, 1767323000000000, '0.1.0');
INSERT INTO blocks (id, run, image, chain, network, hash, height, size_bytes, transactions, received_us,
    first_byte_us, last_byte_us, published_us, shards, offers, settled, handled, already_had, refused,
    stalled, reset, unanswered, abandoned, echoes, witnesses, announced, have, fate)
VALUES (1, 1, 1, 'a', 'main', '00ab', 7, 1000, 3, 1767323045000000,
    0, 100, 200, 1, 3, 3, 2, 0, 0, 0, 1, 0, 0, 1, 0, 1, 2, 'in-chain');
INSERT INTO peers VALUES (1, 0, 9, '192.0.2.1:9333', 'full', 'handled', 1000, 1, 2, 3, 4, NULL);
INSERT INTO peers VALUES (1, 1, 8, NULL, 'full', 'reset', 10, 1, NULL, NULL, NULL, NULL);
INSERT INTO verdicts VALUES (1, 0, 'http://127.0.0.1:9332', 1, 'accepted', 40000);
