"""Topics from their making to their end with librdkafka's admin client."""
import sys
import time

from confluent_kafka import KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
)

bootstrap = sys.argv[1]
admin = AdminClient({"bootstrap.servers": bootstrap})


def ask(what, futures):
    """Prints how it went for each; the answer of a single one is given back."""
    for future in futures.values():
        try:
            answer = future.result(20)
            print(f"{what}: done")
            return answer
        except KafkaException as error:
            print(f"{what}: {error.args[0].name()}")


def settings(*names):
    resource = ConfigResource(ConfigResource.Type.TOPIC, "ruled")
    [future] = admin.describe_configs([resource]).values()
    found = future.result(20)
    return {name: found[name].value for name in names}


def listed():
    return "ruled" in admin.list_topics(timeout=20).topics


ask("create", admin.create_topics([NewTopic("ruled", 2, 1, config={"retention.ms": "100000"})]))
ask("create again", admin.create_topics([NewTopic("ruled", 2, 1)]))
ask("add a partition", admin.create_partitions([NewPartitions("ruled", 3)]))
ask("take two away", admin.create_partitions([NewPartitions("ruled", 1)]))
topic = admin.list_topics("ruled", timeout=20).topics["ruled"]
print("partitions:", sorted((p.id, p.leader, p.replicas, p.isrs) for p in topic.partitions.values()))

change = ConfigEntry("max.message.bytes", "2000", incremental_operation=AlterConfigOpType.SET)
ask("alter", admin.incremental_alter_configs([ConfigResource("topic", "ruled", incremental_configs=[change])]))
print("settings:", settings("retention.ms", "max.message.bytes"))
change = ConfigEntry("no.such.setting", "1", incremental_operation=AlterConfigOpType.SET)
ask("alter nonsense", admin.incremental_alter_configs([ConfigResource("topic", "ruled", incremental_configs=[change])]))

producer = Producer({"bootstrap.servers": bootstrap})
for n in range(10):
    producer.produce("ruled", str(n), partition=2)
producer.flush(20)
deleted = ask("delete records", admin.delete_records([TopicPartition("ruled", 2, 6)]))
print("low watermark:", deleted.low_watermark)
place = TopicPartition("ruled", 2)
for name, spec in [("earliest", OffsetSpec.earliest()), ("latest", OffsetSpec.latest())]:
    [future] = admin.list_offsets({place: spec}).values()
    print(f"{name}:", future.result(20).offset)

ask("delete", admin.delete_topics(["ruled"]))
deadline = time.monotonic() + 20
while listed() and time.monotonic() < deadline:
    time.sleep(0.05)
print("listed:", listed())
ask("delete again", admin.delete_topics(["ruled"]))
cluster = admin.describe_cluster().result(20)
print("brokers:", [node.id for node in cluster.nodes], "controller:", cluster.controller.id)
