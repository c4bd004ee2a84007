import { ScalarType, type DescField } from "@bufbuild/protobuf";
import type { ReflectMessage } from "@bufbuild/protobuf/reflect";

/**
 * Throws a `TypeError` where a field of a request that is a text holds something else. The encoder would send what
 * `String` makes of it: the token `undefined`, whose logout is acknowledged, or the password `[object Object]`.
 */
export function checkTexts(message: ReflectMessage): void {
  for (const field of message.fields) {
    if (!message.isSet(field)) {
      continue;
    }
    if (field.fieldKind === "message") {
      checkTexts(message.get(field));
    } else if (field.fieldKind === "scalar") {
      checkScalar(field, field.scalar, valueOf(message, field));
    } else if (field.fieldKind === "list") {
      for (const item of message.get(field)) {
        if (field.listKind === "message") {
          checkTexts(item as ReflectMessage);
        } else if (field.listKind === "scalar") {
          checkScalar(field, field.scalar, item);
        }
      }
    }
  }
}

/** The value as it was given: reflection shows none as the empty text. */
function valueOf({ message }: ReflectMessage, field: DescField): unknown {
  const fields = message as unknown as Readonly<Record<string, unknown>>;
  return field.oneof === undefined
    ? fields[field.localName]
    : (fields[field.oneof.localName] as { readonly value?: unknown }).value;
}

function checkScalar(field: DescField, type: ScalarType, value: unknown): void {
  if (type === ScalarType.STRING && typeof value !== "string") {
    throw new TypeError(`countersign: \`${field.localName}\` is no text`);
  }
}
