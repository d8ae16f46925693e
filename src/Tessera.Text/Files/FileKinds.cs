using System.Buffers;
using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace Tessera.Text.Files;

/// <summary>
/// Tells what a file is before it is parsed, so that a pointer of Git LFS, a web page or a pickle under the name of a model is said to be
/// that, with the way to get the real file. Every reader of files from strangers asks.
/// </summary>
public static partial class FileKinds
{
    private const int Looked = 512;
    private const int MaxHeader = 100_000_000; // of safetensors

    private static readonly SearchValues<byte> s_printable =
        SearchValues.Create([(byte)'\t', (byte)'\r', (byte)'\n', .. Enumerable.Range(0x20, 0x5F).Select(code => (byte)code)]);

    private static ReadOnlySpan<byte> Hdf5 => [0x89, (byte)'H', (byte)'D', (byte)'F'];

    private static ReadOnlySpan<byte> Gzip => [0x1F, 0x8B];

    private static ReadOnlySpan<byte> Zstandard => [0x28, 0xB5, 0x2F, 0xFD];

    private static ReadOnlySpan<byte> Xz => [0xFD, 0x37, 0x7A, 0x58, 0x5A];

    private static ReadOnlySpan<byte> LittleEndianMark => [0xFF, 0xFE];

    private static ReadOnlySpan<byte> BigEndianMark => [0xFE, 0xFF];

    /// <summary>The kind of a file.</summary>
    /// <param name="path">The file; 512 bytes of it are read.</param>
    /// <exception cref="IOException">There is no such file, or it cannot be read.</exception>
    public static FileKind Of(string path)
    {
        using var file = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        var bytes = new byte[Looked];
        var count = 0;
        for (int read; (read = RandomAccess.Read(file, bytes.AsSpan(count), count)) > 0;) count += read;
        var kind = Of(bytes.AsSpan(0, count));
        return kind is FileKind.Unknown or FileKind.Gguf or FileKind.Safetensors && PieceName().IsMatch(path) ? FileKind.Piece : kind;
    }

    /// <summary>The kind of a file that begins with some bytes.</summary>
    /// <param name="bytes">The first 512, or all where there are fewer.</param>
    public static FileKind Of(ReadOnlySpan<byte> bytes)
    {
        if (bytes.IsEmpty) return FileKind.Empty;
        if (bytes.StartsWith("version https://git-lfs"u8)) return FileKind.LfsPointer;
        if (bytes.StartsWith("GGUF"u8)) return FileKind.Gguf;
        if (IsSafetensors(bytes)) return FileKind.Safetensors; // before kinds whose marks may be the length of its header
        if (bytes.StartsWith("lmgg"u8) || bytes.StartsWith("fmgg"u8) || bytes.StartsWith("tjgg"u8)) return FileKind.OlderGgml;
        if (bytes.StartsWith("PK\u0003\u0004"u8)) return FileKind.Zip;
        if (IsCompressed(bytes)) return FileKind.Compressed;
        if (bytes.StartsWith(Hdf5)) return FileKind.Hdf5;
        if (bytes.Length > 2 && bytes[0] == 0x80 && bytes[1] is >= 2 and <= 5) return FileKind.Pickle;
        if (bytes.StartsWith(LittleEndianMark) || bytes.StartsWith(BigEndianMark)) return FileKind.WideText;
        return OfText(bytes);
    }

    /// <summary>Throws where a file is plainly of another kind than its reader expects; what is not known is left to the reader.</summary>
    /// <param name="path">The file.</param>
    /// <param name="expected">What the reader reads.</param>
    /// <param name="what">That in words: <c>a safetensors file</c>.</param>
    /// <exception cref="InvalidDataException">It is of another kind; the message says which, and how to come by the right file.</exception>
    /// <exception cref="IOException">There is no such file, or it cannot be read.</exception>
    public static void Require(string path, FileKind expected, string what)
    {
        var kind = Of(path);
        if (kind == FileKind.Unknown || kind == expected || (kind == FileKind.Text && expected == FileKind.Json)) return;
        throw new InvalidDataException($"{path}: {Description(kind, path)}, not {what}{Remedy(kind)}");
    }

    /// <summary>The length of a header of JSON, and its beginning.</summary>
    private static bool IsSafetensors(ReadOnlySpan<byte> bytes) =>
        bytes.Length > sizeof(ulong) && bytes[sizeof(ulong)] == '{' && BinaryPrimitives.ReadUInt64LittleEndian(bytes) <= MaxHeader;

    private static FileKind OfText(ReadOnlySpan<byte> bytes)
    {
        var text = bytes.StartsWith("\uFEFF"u8) ? bytes[3..] : bytes;
        var trimmed = text.TrimStart(" \t\r\n"u8);
        if (trimmed.IsEmpty) return FileKind.Unknown;
        if (trimmed[0] is (byte)'{' or (byte)'[') return FileKind.Json;
        var start = Encoding.Latin1.GetString(trimmed);
        if (HtmlStart().IsMatch(start)) return FileKind.Html;
        if (RankLine().IsMatch(start)) return FileKind.TiktokenRanks;
        // The first field of a model is a piece: its tag, its length, and within it the tag of its text.
        if (bytes[0] == 0x0A && bytes.Length > 2 && bytes[2] == 0x0A) return FileKind.SentencePiece;
        return trimmed.ContainsAnyExcept(s_printable) ? FileKind.Unknown : FileKind.Text;
    }

    /// <summary>By gzip, Zstandard, xz or bzip2.</summary>
    private static bool IsCompressed(ReadOnlySpan<byte> bytes) =>
        bytes.StartsWith(Gzip) || bytes.StartsWith(Zstandard) || bytes.StartsWith(Xz) || bytes.StartsWith("BZh"u8);

    private static string Description(FileKind kind, string path) => kind switch
    {
        FileKind.Empty => "is empty",
        FileKind.LfsPointer => $"is a pointer of Git LFS{Size(path)}",
        FileKind.Html => "is an HTML page",
        FileKind.Text => $"is plain text, '{FirstLine(path)}'",
        FileKind.Zip => "is a ZIP archive, as PyTorch saves weights",
        FileKind.Pickle => "is a Python pickle, as PyTorch saves weights",
        FileKind.Compressed => "is a compressed file",
        FileKind.Hdf5 => "is an HDF5 file, as Keras and TensorFlow save weights",
        FileKind.OlderGgml => "is a GGML file from before GGUF",
        FileKind.Gguf => "is a GGUF file",
        FileKind.Safetensors => "is a safetensors file",
        FileKind.TiktokenRanks => "is a list of tiktoken's ranks",
        FileKind.SentencePiece => "is a sentencepiece model",
        FileKind.Json => "is JSON",
        FileKind.WideText => "is text in UTF-16 or UTF-32",
        _ => "is a piece of a file that was cut in several",
    };

    private static string Remedy(FileKind kind) => kind switch
    {
        FileKind.Empty or FileKind.Text => "; download it again",
        FileKind.LfsPointer => "; get the file itself with 'git lfs pull' in its folder, or download it again",
        FileKind.Html => "; a web site answered with a page: download the file itself (its address has /resolve/, not /blob/)",
        FileKind.Zip or FileKind.Pickle =>
            ", and can run code when it is read; save the model as safetensors: save_pretrained(folder, safe_serialization=True)",
        FileKind.Compressed => "; unpack it first",
        FileKind.Hdf5 => "; load it in transformers (from_tf=True) and save it as safetensors",
        FileKind.OlderGgml => "; convert it with llama.cpp's convert_llama_ggml_to_gguf.py, or download the model as GGUF",
        FileKind.TiktokenRanks => ", and ranks do not say how texts are cut; take the tokenizer.json of the same model",
        FileKind.Safetensors => "; a model is named by its folder, with config.json",
        FileKind.WideText => "; save it again as UTF-8",
        FileKind.Piece => "; join its pieces in order: cat FILE.part1of2 FILE.part2of2 > FILE",
        _ => "",
    };

    private static string FirstLine(string path)
    {
        const int Shown = 60;
        var line = File.ReadLines(path, Encoding.Latin1).FirstOrDefault(line => line.Length > 0) ?? "";
        return line.Length > Shown ? line[..Shown] + " …" : line;
    }

    /// <summary>How large the file is that a pointer stands for.</summary>
    private static string Size(string path)
    {
        using var reader = new StreamReader(path, Encoding.Latin1);
        for (var line = 0; line < 8 && reader.ReadLine() is { } text; line++)
        {
            if (text.StartsWith("size ", StringComparison.Ordinal) && long.TryParse(text[5..], CultureInfo.InvariantCulture, out var bytes))
                return string.Create(CultureInfo.InvariantCulture, $" to a file of {bytes} bytes");
        }

        return "";
    }

    [GeneratedRegex(@"^(<!doctype html|<html|<head|<\?xml)", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex HtmlStart();

    [GeneratedRegex(@"^[A-Za-z0-9+/]+={0,2} \d+\r?\n", RegexOptions.CultureInvariant)]
    private static partial Regex RankLine();

    [GeneratedRegex(@"(\.part\d+of\d+|-split-[a-z]{1,2}|\.part-?[a-z]{2}|\.\d{3})$", RegexOptions.CultureInvariant)]
    private static partial Regex PieceName();
}
