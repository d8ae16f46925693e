using System.Buffers;
using System.Runtime.InteropServices;
using System.Text;

namespace Tessera.Text.Tokenizers;

/// <summary>
/// Neighbouring bytes read as UTF-8 while they come: a character is given with its last byte, a byte that belongs to none as U+FFFD.
/// </summary>
internal sealed class ByteRun
{
    private readonly List<byte> _held;

    /// <summary>Begins with no bytes.</summary>
    public ByteRun() => _held = [];

    private ByteRun(ByteRun other) => _held = [.. other._held];

    /// <summary>Takes the next byte.</summary>
    /// <param name="value">The byte.</param>
    /// <param name="into">Takes the characters that it settles.</param>
    public void Add(byte value, List<string> into)
    {
        _held.Add(value);
        Give(into, isLast: false);
    }

    /// <summary>Ends the run: the bytes of a character that is not whole are U+FFFD, each.</summary>
    public void Finish(List<string> into) => Give(into, isLast: true);

    /// <summary>The same bytes once more.</summary>
    public ByteRun Fork() => new(this);

    private void Give(List<string> into, bool isLast)
    {
        while (_held.Count > 0)
        {
            // Of bytes that are no character one is taken at a time, .NET takes as many as could begin one.
            var status = Rune.DecodeFromUtf8(CollectionsMarshal.AsSpan(_held), out var rune, out var taken);
            if (status == OperationStatus.NeedMoreData && !isLast) return;
            into.Add(rune.ToString());
            _held.RemoveRange(0, status == OperationStatus.Done ? taken : 1);
        }
    }
}
