import io.apicurio.registry.utils.converter.AvroConverter;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Base64;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.connect.data.Date;
import org.apache.kafka.connect.data.Decimal;
import org.apache.kafka.connect.data.Field;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaBuilder;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.data.Time;
import org.apache.kafka.connect.data.Timestamp;
import org.apache.kafka.connect.json.JsonConverter;
import org.apache.kafka.connect.storage.Converter;

/**
 * Writes changes as Debezium's connectors hand them to Kafka Connect, through two of its converters: the Avro one of
 * Apicurio, which registers its schemas at the URL of the first argument, and Kafka's own JSON one. A line is a change: key
 * and value in Avro, key and value in JSON, each in base64, between tabs.
 */
public class Converters {
    static final String TOPIC = "shop.catalog.things";
    static final Converter avroKeys = new AvroConverter<Object>(), avroValues = new AvroConverter<Object>();
    static final Converter jsonKeys = new JsonConverter(), jsonValues = new JsonConverter();

    public static void main(String[] args) {
        Map<String, Object> avro = new HashMap<>();
        avro.put("apicurio.registry.url", args[0]);
        avro.put("apicurio.registry.auto-register", "true");
        avro.put("apicurio.registry.as-confluent", "true");
        avro.put("apicurio.registry.use-id", "contentId");
        avro.put("apicurio.registry.headers.enabled", "false");
        avroKeys.configure(avro, true);
        avroValues.configure(avro, false);
        jsonKeys.configure(Map.of("schemas.enable", "true"), true);
        jsonValues.configure(Map.of("schemas.enable", "true"), false);

        Map<String, Column> columns = columns();
        Schema before = table(columns), envelope = envelope(before);
        Struct full = row(before, columns, 9007199254740993L), empty = row(before, Map.of(), 2L);
        change(full, envelope, "r", null, full);
        change(empty, envelope, "c", null, empty);
        change(row(before, columns, 2L), envelope, "u", empty, row(before, columns, 2L));
        change(empty, envelope, "d", empty, null);

        // The table is altered: a column goes, one comes, one changes its type.
        columns.remove("a_double");
        columns.put("a_new_one", new Column(SchemaBuilder.string(), "new"));
        columns.put("an_int", new Column(SchemaBuilder.string(), "seven"));
        Schema after = table(columns);
        change(row(after, columns, 3L), envelope(after), "c", null, row(after, columns, 3L));

        Map<String, Column> unwrapped = new LinkedHashMap<>(columns);
        unwrapped.put("__deleted", new Column(SchemaBuilder.string(), "true"));
        Schema rows = table(unwrapped);
        write(key(rows, 3L), rows, row(rows, unwrapped, 3L));
    }

    record Column(SchemaBuilder schema, Object value) {}

    static Map<String, Column> columns() {
        Map<String, Column> c = new LinkedHashMap<>();
        c.put("a_text", new Column(SchemaBuilder.string(), "Becher \"\\\n\u0000 类目 🎉"));
        c.put("an_int8", new Column(SchemaBuilder.int8(), (byte) -128));
        c.put("an_int16", new Column(SchemaBuilder.int16(), (short) -32768));
        c.put("an_int", new Column(SchemaBuilder.int32(), Integer.MIN_VALUE));
        c.put("a_long", new Column(SchemaBuilder.int64(), Long.MIN_VALUE));
        c.put("a_boolean", new Column(SchemaBuilder.bool(), true));
        c.put("a_float", new Column(SchemaBuilder.float32(), 1.1f));
        c.put("a_double", new Column(SchemaBuilder.float64(), 0.1));
        c.put("a_whole", new Column(SchemaBuilder.float64(), 199.0));
        c.put("a_large", new Column(SchemaBuilder.float64(), 1.5e300));
        c.put("a_small", new Column(SchemaBuilder.float64(), -2e-7));
        c.put("a_nan", new Column(SchemaBuilder.float64(), Double.NaN));
        c.put("an_infinity", new Column(SchemaBuilder.float32(), Float.NEGATIVE_INFINITY));
        c.put("a_blob", new Column(SchemaBuilder.bytes(), new byte[] {0, 1, -1}));
        c.put("a_price", new Column(Decimal.builder(2), new BigDecimal("-199.90")));
        c.put("a_long_decimal", new Column(Decimal.builder(9), new BigDecimal("12345678901234567890123456789.123456789")));
        Schema scaled = SchemaBuilder.struct().name("io.debezium.data.VariableScaleDecimal").version(1)
                .field("scale", Schema.INT32_SCHEMA).field("value", Schema.BYTES_SCHEMA).build();
        c.put("a_numeric", new Column(copy(scaled), new Struct(scaled).put("scale", 3).put("value", new BigDecimal("19.99").unscaledValue().toByteArray())));
        c.put("a_date", named(SchemaBuilder.int32(), "io.debezium.time.Date", 19675));
        c.put("a_time", named(SchemaBuilder.int64(), "io.debezium.time.MicroTime", 47655000001L));
        c.put("a_milli", named(SchemaBuilder.int64(), "io.debezium.time.Timestamp", 1700000000123L));
        c.put("a_micro", named(SchemaBuilder.int64(), "io.debezium.time.MicroTimestamp", 1700000000123456L));
        c.put("a_nano", named(SchemaBuilder.int64(), "io.debezium.time.NanoTimestamp", 1700000000123456789L));
        c.put("a_zoned", named(SchemaBuilder.string(), "io.debezium.time.ZonedTimestamp", "2023-11-14T23:13:20.5+01:00"));
        c.put("a_connect_date", new Column(Date.builder(), new java.util.Date(19675L * 86_400_000)));
        c.put("a_connect_time", new Column(Time.builder(), new java.util.Date(47_655_500)));
        c.put("a_connect_timestamp", new Column(Timestamp.builder(), new java.util.Date(1700000000123L)));
        c.put("a_uuid", named(SchemaBuilder.string(), "io.debezium.data.Uuid", "6f1c7f5e-0c1d-4b52-9a39-0d7e6b1d3c11"));
        c.put("a_json", named(SchemaBuilder.string(), "io.debezium.data.Json", "{\"colour\":\"红\"}"));
        c.put("an_enum", named(SchemaBuilder.string().parameter("allowed", "small,large"), "io.debezium.data.Enum", "large"));
        c.put("a_set", named(SchemaBuilder.string().parameter("allowed", "a,b"), "io.debezium.data.EnumSet", "a,b"));
        c.put("bits", named(SchemaBuilder.bytes().parameter("length", "12"), "io.debezium.data.Bits", new byte[] {1, 2}));
        c.put("tags", new Column(SchemaBuilder.array(Schema.OPTIONAL_STRING_SCHEMA), List.of("女装", "")));
        c.put("days", new Column(SchemaBuilder.array(SchemaBuilder.int32().name("io.debezium.time.Date").version(1).optional().build()), Arrays.asList(19675, null)));
        c.put("prices", new Column(SchemaBuilder.array(Decimal.builder(1).optional().build()), List.of(new BigDecimal("7.5"))));
        c.put("a_map", new Column(SchemaBuilder.map(Schema.STRING_SCHEMA, Schema.OPTIONAL_STRING_SCHEMA), Map.of("k \"", "v")));
        Schema point = SchemaBuilder.struct().name("io.debezium.data.geometry.Point").version(1)
                .field("x", Schema.FLOAT64_SCHEMA).field("y", Schema.FLOAT64_SCHEMA).field("wkb", Schema.OPTIONAL_BYTES_SCHEMA).build();
        c.put("a_point", new Column(copy(point), new Struct(point).put("x", 1.5).put("y", -2.0).put("wkb", new byte[] {1})));
        return c;
    }

    static Column named(SchemaBuilder schema, String name, Object value) {
        return new Column(schema.name(name).version(1), value);
    }

    static SchemaBuilder copy(Schema struct) {
        SchemaBuilder b = SchemaBuilder.struct().name(struct.name()).version(struct.version());
        struct.fields().forEach(f -> b.field(f.name(), f.schema()));
        return b;
    }

    static Schema table(Map<String, Column> columns) {
        SchemaBuilder b = SchemaBuilder.struct().name(TOPIC + ".Value").optional().field("id", Schema.INT64_SCHEMA);
        columns.forEach((name, column) -> b.field(name, optional(column.schema())));
        return b.build();
    }

    static Schema optional(SchemaBuilder schema) {
        return schema.isOptional() ? schema.schema() : schema.optional().build();
    }

    static Struct row(Schema table, Map<String, Column> columns, long id) {
        Struct row = new Struct(table).put("id", id);
        for (Field field : table.fields()) {
            Column column = columns.get(field.name());
            if (column != null) {
                row.put(field, column.value() instanceof Struct s ? again(s, field.schema()) : column.value());
            }
        }
        return row;
    }

    static Struct again(Struct of, Schema schema) {
        Struct made = new Struct(schema);
        schema.fields().forEach(f -> made.put(f, of.get(f.name())));
        return made;
    }

    static Schema envelope(Schema table) {
        Schema source = SchemaBuilder.struct().name("io.debezium.connector.mysql.Source")
                .field("connector", Schema.STRING_SCHEMA).field("db", Schema.STRING_SCHEMA).field("table", Schema.OPTIONAL_STRING_SCHEMA)
                .field("ts_ms", Schema.INT64_SCHEMA).field("file", Schema.STRING_SCHEMA).field("pos", Schema.INT64_SCHEMA).build();
        return SchemaBuilder.struct().name(TOPIC + ".Envelope").version(2)
                .field("before", table).field("after", table).field("source", source)
                .field("op", Schema.STRING_SCHEMA).field("ts_ms", Schema.OPTIONAL_INT64_SCHEMA).build();
    }

    static void change(Struct row, Schema envelope, String op, Struct before, Struct after) {
        Struct source = new Struct(envelope.field("source").schema()).put("connector", "mysql").put("db", "catalog").put("table", "things")
                .put("ts_ms", 1700000000000L).put("file", "bin.7").put("pos", 12L);
        Struct value = new Struct(envelope).put("before", before).put("after", after).put("source", source).put("op", op).put("ts_ms", 1L);
        write(key(row.schema(), row.getInt64("id")), envelope, value);
    }

    static Struct key(Schema table, long id) {
        return new Struct(SchemaBuilder.struct().name(TOPIC + ".Key").field("id", Schema.INT64_SCHEMA).build()).put("id", id);
    }

    static void write(Struct key, Schema schema, Struct value) {
        System.out.println(String.join("\t",
                encode(avroKeys.fromConnectData(TOPIC, key.schema(), key)), encode(avroValues.fromConnectData(TOPIC, schema, value)),
                encode(jsonKeys.fromConnectData(TOPIC, key.schema(), key)), encode(jsonValues.fromConnectData(TOPIC, schema, value))));
    }

    static String encode(byte[] bytes) {
        return new String(Base64.getEncoder().encode(bytes), StandardCharsets.US_ASCII);
    }
}
