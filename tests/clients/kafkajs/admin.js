// Topics and groups with kafkajs's admin client.
const { ConfigResourceTypes, Kafka, logLevel } = require('kafkajs')

async function main(bootstrap) {
  const kafka = new Kafka({ brokers: [bootstrap], clientId: 'the-member', logLevel: logLevel.NOTHING })
  const admin = kafka.admin()
  await admin.connect()

  async function settings(...configNames) {
    const asked = { resources: [{ type: ConfigResourceTypes.TOPIC, name: 'ruled', configNames }] }
    const { resources } = await admin.describeConfigs({ includeSynonyms: false, ...asked })
    return resources[0].configEntries.map(({ configName, configValue }) => `${configName}=${configValue}`).sort().join(' ')
  }

  const topic = { topic: 'ruled', numPartitions: 2, replicationFactor: 1 }
  const configEntries = [{ name: 'retention.ms', value: '100000' }]
  console.log('created:', await admin.createTopics({ topics: [{ ...topic, configEntries }] }))
  console.log('created again:', await admin.createTopics({ topics: [topic] }))
  await admin.createPartitions({ topicPartitions: [{ topic: 'ruled', count: 3 }] })
  const { topics } = await admin.fetchTopicMetadata({ topics: ['ruled'] })
  console.log('partitions:', topics[0].partitions.map(({ partitionId, leader }) => `${partitionId}@${leader}`).sort().join(' '))
  await admin.alterConfigs({
    resources: [
      {
        type: ConfigResourceTypes.TOPIC,
        name: 'ruled',
        configEntries: [{ name: 'max.message.bytes', value: '2000' }],
      },
    ],
  })
  // This oldest way of altering replaces all settings of the topic.
  console.log('settings:', await settings('retention.ms', 'max.message.bytes'))

  const producer = kafka.producer()
  await producer.connect()
  const messages = [...Array(10).keys()].map((n) => ({ value: String(n), partition: 2 }))
  await producer.send({ topic: 'ruled', messages })
  await producer.disconnect()
  await admin.deleteTopicRecords({ topic: 'ruled', partitions: [{ partition: 2, offset: '6' }] })
  const offsets = await admin.fetchTopicOffsets('ruled')
  console.log('offsets:', offsets.filter(({ partition }) => partition === 2).map(({ low, high }) => `${low} to ${high}`).join())

  const consumer = kafka.consumer({ groupId: 'watched-group', heartbeatInterval: 300, maxWaitTimeInMs: 300 })
  await consumer.connect()
  await consumer.subscribe({ topics: ['ruled'], fromBeginning: true })
  const read = []
  await new Promise((resolve) =>
    consumer.run({
      eachMessage: async ({ message }) => {
        read.push(message.offset)
        if (read.length === 4) resolve()
      },
    })
  )
  console.log('read:', read.join(' '))
  const { groups } = await admin.listGroups()
  console.log('listed:', groups.filter(({ groupId }) => groupId === 'watched-group').map(({ protocolType }) => protocolType).join())
  const described = (await admin.describeGroups(['watched-group'])).groups[0]
  console.log('described:', described.state, described.protocol, described.members.map(({ clientId }) => clientId).join())
  await consumer.disconnect()

  await admin.setOffsets({ groupId: 'watched-group', topic: 'ruled', partitions: [{ partition: 2, offset: '7' }] })
  const committed = await admin.fetchOffsets({ groupId: 'watched-group', topics: ['ruled'] })
  console.log('committed by hand:', committed[0].partitions.find(({ partition }) => partition === 2).offset)
  console.log('deleted:', (await admin.deleteGroups(['watched-group'])).map(({ errorCode }) => errorCode).join())

  await admin.deleteTopics({ topics: ['ruled'] })
  while ((await admin.listTopics()).includes('ruled'));
  console.log('the topic is gone')
  const cluster = await admin.describeCluster()
  console.log('brokers:', cluster.brokers.map(({ nodeId }) => nodeId).join(), 'controller:', cluster.controller)
  await admin.disconnect()
}

main(process.argv[2])
