using System.Collections;
using System.Globalization;

namespace Tessera.Models.Formats.Gguf;

/// <summary>The type of a metadata value in a GGUF file; the numbers are the file's.</summary>
public enum GgufValueType
{
    /// <summary>Unsigned 8 bits.</summary>
    U8,

    /// <summary>Signed 8 bits.</summary>
    I8,

    /// <summary>Unsigned 16 bits.</summary>
    U16,

    /// <summary>Signed 16 bits.</summary>
    I16,

    /// <summary>Unsigned 32 bits.</summary>
    U32,

    /// <summary>Signed 32 bits.</summary>
    I32,

    /// <summary>IEEE binary32.</summary>
    F32,

    /// <summary>One byte, 0 or 1.</summary>
    Bool,

    /// <summary>UTF-8 text.</summary>
    String,

    /// <summary>Many values of one type.</summary>
    Array,

    /// <summary>Unsigned 64 bits.</summary>
    U64,

    /// <summary>Signed 64 bits.</summary>
    I64,

    /// <summary>IEEE binary64.</summary>
    F64,
}

/// <summary>A metadata value of a GGUF file.</summary>
/// <param name="Type">What it is.</param>
/// <param name="Content">A number (as long, ulong or double), bool, string, or the items of an array: a list of values of these
/// kinds, or an array of the type they have in the file, such as <c>float[]</c>, of arrays where they are arrays.</param>
/// <param name="ItemType">What the items of an array are.</param>
public sealed record GgufValue(GgufValueType Type, object Content, GgufValueType ItemType = default)
{
    private const int ItemsShown = 8;

    /// <summary>The items of an array, numbers as long, ulong or double; none for anything else.</summary>
    public IReadOnlyList<object> Items =>
        Content as string[] ?? (Content is Array array ? new ItemList(array) : Content as IReadOnlyList<object> ?? []);

    /// <summary>A 32-bit unsigned value.</summary>
    public static GgufValue Of(uint value) => new(GgufValueType.U32, (ulong)value);

    /// <summary>A 32-bit float.</summary>
    public static GgufValue Of(float value) => new(GgufValueType.F32, (double)value);

    /// <summary>A truth value.</summary>
    public static GgufValue Of(bool value) => new(GgufValueType.Bool, value);

    /// <summary>A text.</summary>
    public static GgufValue Of(string value) => new(GgufValueType.String, value);

    /// <summary>An array of texts.</summary>
    public static GgufValue Of(IEnumerable<string> values) => new(GgufValueType.Array, values.ToArray(), GgufValueType.String);

    /// <summary>An array of 32-bit signed values.</summary>
    public static GgufValue Of(IEnumerable<int> values) => new(GgufValueType.Array, values.ToArray(), GgufValueType.I32);

    /// <summary>An array of 32-bit floats.</summary>
    public static GgufValue Of(IEnumerable<float> values) => new(GgufValueType.Array, values.ToArray(), GgufValueType.F32);

    /// <summary>An array of truth values.</summary>
    public static GgufValue Of(IEnumerable<bool> values) => new(GgufValueType.Array, values.ToArray(), GgufValueType.Bool);

    /// <summary>The value as people read it; of a long array its beginning.</summary>
    public override string ToString() => Type == GgufValueType.Array ? List(Items) : Content switch
    {
        bool truth => truth ? "true" : "false",
        double number => ((float)number).ToString("R", CultureInfo.InvariantCulture),
        _ => Convert.ToString(Content, CultureInfo.InvariantCulture)!,
    };

    private static string List(IReadOnlyList<object> items) =>
        $"[{string.Join(", ", items.Take(ItemsShown).Select(item => Convert.ToString(item, CultureInfo.InvariantCulture)))}"
        + (items.Count > ItemsShown ? $", … {items.Count} in all]" : "]");

    /// <summary>An array as it is in the file, seen as numbers of the widest type of each kind. Nothing is kept but the array.</summary>
    private sealed class ItemList(Array array) : IReadOnlyList<object>
    {
        public int Count => array.Length;

        public object this[int index] => array.GetValue(index) switch
        {
            byte or ushort or uint => Convert.ToUInt64(array.GetValue(index), CultureInfo.InvariantCulture),
            sbyte or short or int => Convert.ToInt64(array.GetValue(index), CultureInfo.InvariantCulture),
            float number => (double)number,
            Array items => new ItemList(items),
            var item => item!,
        };

        public IEnumerator<object> GetEnumerator()
        {
            for (var index = 0; index < Count; index++) yield return this[index];
        }

        IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

        public override string ToString() => List(this);
    }
}
