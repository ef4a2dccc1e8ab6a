"""Topics and groups with aiokafka's admin client, which asks in old versions."""
import asyncio
import sys

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType


async def main(bootstrap):
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()

    async def settings(*names):
        resource = ConfigResource(ConfigResourceType.TOPIC, "ruled", dict.fromkeys(names))
        [answer] = await admin.describe_configs([resource])
        [(error, _, _, _, entries)] = answer.resources
        return error, {entry[0]: entry[1] for entry in entries}

    created = await admin.create_topics([NewTopic("ruled", 2, 1, topic_configs={"retention.ms": "100000"})])
    print("created:", [(topic, error) for topic, error, *_ in created.topic_errors])
    created = await admin.create_topics([NewTopic("ruled", 2, 1)])
    print("created again:", [(topic, error) for topic, error, *_ in created.topic_errors])
    await admin.create_partitions({"ruled": NewPartitions(3)})
    [topic] = await admin.describe_topics(["ruled"])
    print("partitions:", sorted(p["partition"] for p in topic["partitions"]))
    await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, "ruled", {"max.message.bytes": "2000"})])
    # This oldest way of altering replaces all settings of the topic.
    print("settings:", await settings("retention.ms", "max.message.bytes"))

    place = TopicPartition("ruled", 2)
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        for n in range(10):
            await producer.send_and_wait("ruled", b"%d" % n, partition=2)
    print("deleted records:", await admin.delete_records({place: RecordsToDelete(6)}))

    async with AIOKafkaConsumer(
        "ruled",
        bootstrap_servers=bootstrap,
        client_id="the-member",
        group_id="watched-group",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    ) as consumer:
        print("read:", [(await consumer.getone()).offset for _ in range(4)])
        await consumer.commit({place: 8})
        groups = await admin.list_consumer_groups()
        print("listed:", [group for group in groups if group[0] == "watched-group"])
        [described] = await admin.describe_consumer_groups(["watched-group"])
        _, name, state, kind, assignor, members, *_ = described.groups[0]
        print("described:", name, state, kind, assignor, [member[1] for member in members])
        print("committed:", (await admin.list_consumer_group_offsets("watched-group"))[place].offset)

    await admin.delete_topics(["ruled"])
    while "ruled" in await admin.list_topics():
        await asyncio.sleep(0.05)
    print("the topic is gone")
    await admin.close()


asyncio.run(main(sys.argv[1]))
