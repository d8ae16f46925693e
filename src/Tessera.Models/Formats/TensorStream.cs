using Tessera.Tensors;

namespace Tessera.Models.Formats;

/// <summary>Elements of one tensor of a file.</summary>
internal readonly record struct StoredPiece(string Name, long Start, long Count);

/// <summary>Copies tensors from one file to another without holding them: a stack of experts may be larger than what memory is to
/// spare.</summary>
/// <param name="source">Where weights come from.</param>
/// <param name="names">How they are called there.</param>
internal sealed class TensorStream(TensorSource source, TensorNames names)
{
    private const int PieceElements = 1 << 20;

    /// <summary>Adds the pieces of the source that elements of one of ours are made of, in order; false where they are
    /// rearranged.</summary>
    public bool TryFind(string ours, Shape shape, long start, long count, List<StoredPiece> pieces)
    {
        var layout = names.Layouts[ours];
        for (var index = 0; index < layout.Theirs.Count && count > 0; index++)
        {
            if (layout.StretchOf(index, shape) is not { } stretch || names.Find(source, layout.Theirs[index]) is not { } name) return false;
            var skipped = start - stretch.Ours;
            if (skipped < 0 || skipped >= stretch.Count) continue;
            var taken = Math.Min(count, stretch.Count - skipped);
            pieces.Add(new StoredPiece(name, stretch.Theirs + skipped, taken));
            (start, count) = (start + taken, count - taken);
        }

        return count == 0;
    }

    /// <summary>Whether a piece can be cut into rows of a width that are whole blocks where it is and where it goes.</summary>
    public bool Fits(StoredPiece piece, long width, ElementType type) =>
        (type.BlockElements() == 1 && source[piece.Name].Element is { } stored && stored.BlockElements() == 1)
            || (piece.Start % width == 0 && piece.Count % width == 0);

    /// <summary>Writes a piece as another type, some rows at a time.</summary>
    public void Copy(StoredPiece piece, long width, ElementType type, Stream target)
    {
        if (piece.Count % width != 0) width = piece.Count; // of a vector
        var rows = (int)Math.Clamp(PieceElements / width, 1, piece.Count / width);
        var isSame = source[piece.Name].Element == type;
        var read = Tensor.Allocate([rows, (int)width], isSame ? type : ElementType.F32);
        var written = isSame ? read : Tensor.Allocate([rows, (int)width], type);
        for (var done = 0L; done < piece.Count; done += rows * width)
        {
            if (piece.Count - done < rows * width)
            {
                Copy(piece with { Start = piece.Start + done, Count = piece.Count - done }, width, type, target);
                break;
            }

            if (isSame) source.ReadBytes(piece.Name, read.Bytes, type.Bytes(piece.Start + done));
            else source.ReadFloats(piece.Name, read.Floats, piece.Start + done);
            if (!isSame) Op.Convert(read, written);
            target.Write(written.Bytes);
        }

        GC.KeepAlive(read); // a span does not keep its memory
        GC.KeepAlive(written);
    }
}
