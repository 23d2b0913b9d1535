import io.debezium.connector.jdbc.JdbcSinkConnectorTask;
import io.debezium.embedded.Connect;
import io.debezium.engine.DebeziumEngine;
import io.debezium.engine.RecordChangeEvent;
import io.debezium.engine.format.ChangeEventFormat;
import java.io.FileReader;
import java.lang.reflect.Proxy;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.connect.sink.SinkRecord;
import org.apache.kafka.connect.sink.SinkTaskContext;
import org.apache.kafka.connect.source.SourceRecord;

/**
 * Debezium's embedded engine and its JDBC sink in one process, without Kafka between them: the
 * shortest way that Debezium has from one database to another. Arguments: two property files.
 */
public final class Replicate {
  public static void main(String[] arguments) throws Exception {
    Properties source = read(arguments[0]);
    Map<String, String> sink = new HashMap<>();
    read(arguments[1]).forEach((key, value) -> sink.put((String) key, (String) value));
    JdbcSinkConnectorTask task = new JdbcSinkConnectorTask();
    task.initialize(context());
    task.start(sink);
    AtomicLong offset = new AtomicLong();
    DebeziumEngine<RecordChangeEvent<SourceRecord>> engine =
        DebeziumEngine.create(ChangeEventFormat.of(Connect.class))
            .using(source)
            .notifying(
                (events, committer) -> {
                  List<SinkRecord> records =
                      events.stream()
                          .map(RecordChangeEvent::record)
                          .filter(record -> record.key() != null && record.value() != null)
                          .map(record -> forSink(record, offset.incrementAndGet()))
                          .toList();
                  task.put(records);
                  for (RecordChangeEvent<SourceRecord> event : events) {
                    committer.markProcessed(event);
                  }
                  committer.markBatchFinished();
                })
            .using((success, message, error) -> {
              if (error != null) error.printStackTrace();
              System.exit(success ? 0 : 1);
            })
            .build();
    engine.run();
  }

  private static SinkRecord forSink(SourceRecord record, long offset) {
    return new SinkRecord(
        record.topic(), 0, record.keySchema(), record.key(), record.valueSchema(), record.value(),
        offset, record.timestamp(), TimestampType.CREATE_TIME);
  }

  /** The sink asks its context for nothing that matters outside of Kafka Connect. */
  private static SinkTaskContext context() {
    return (SinkTaskContext) Proxy.newProxyInstance(
        Replicate.class.getClassLoader(), new Class<?>[] {SinkTaskContext.class},
        (proxy, method, given) -> method.getName().equals("configs") ? Map.of() : null);
  }

  private static Properties read(String file) throws Exception {
    Properties properties = new Properties();
    try (FileReader reader = new FileReader(file)) {
      properties.load(reader);
    }
    return properties;
  }
}
