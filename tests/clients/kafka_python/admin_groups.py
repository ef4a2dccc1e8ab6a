"""Groups as an administrator sees them: who is in them, what they have committed, and their end."""
import sys

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition
from kafka.admin import NewTopic
from kafka.errors import GroupIdNotFoundError, NonEmptyGroupError

bootstrap = sys.argv[1]
admin = KafkaAdminClient(bootstrap_servers=bootstrap)
admin.create_topics([NewTopic("watched", num_partitions=2, replication_factor=1)])
producer = KafkaProducer(bootstrap_servers=bootstrap)
for n in range(4):
    producer.send("watched", b"%d" % n, partition=n % 2)
producer.close()

member = KafkaConsumer(
    "watched",
    bootstrap_servers=bootstrap,
    client_id="the-member",
    group_id="watched-group",
    auto_offset_reset="earliest",
)
read = [record for _, record in zip(range(4), member)]
member.commit({TopicPartition("watched", 0): OffsetAndMetadata(1, "half way", -1)})


def group():
    return admin.describe_groups(["watched-group"])["watched-group"]


def committed():
    offsets = admin.list_group_offsets({"watched-group": None})["watched-group"]
    return {f"{p.topic}-{p.partition}": (found.offset, found.metadata) for p, found in sorted(offsets.items())}


print("listed:", [(g["group_id"], g["protocol_type"]) for g in admin.list_groups() if g["group_id"] == "watched-group"])
print("state:", group()["group_state"], group()["protocol_type"], group()["protocol_data"])
print("members:", [(m["client_id"], m["member_assignment"]["assigned_partitions"]) for m in group()["members"]])
print("committed:", committed())
for group_id, error in admin.delete_groups(["watched-group"]).items():
    print(f"deleting {group_id} with its member:", error)

member.close(autocommit=False)
print("state once it has left:", group()["group_state"], len(group()["members"]))
admin.alter_group_offsets("watched-group", {TopicPartition("watched", 1): OffsetAndMetadata(2, "", -1)})
print("committed by hand:", committed())
for group_id, error in admin.delete_groups(["watched-group"]).items():
    print(f"deleting {group_id}:", error)
print("listed:", [g["group_id"] for g in admin.list_groups() if g["group_id"] == "watched-group"])
admin.close()
