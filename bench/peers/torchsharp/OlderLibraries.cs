using System.Buffers.Binary;
using System.Text;

namespace Tessera.Benchmarks.TorchSharpPeer;

/// <summary>
/// Lets TorchSharp's Linux library load where libstdc++ is older than GCC 13's. The library names one version of symbols that is newer,
/// <c>GLIBCXX_3.4.32</c>, for a single symbol that it never calls: the start of the standard streams, which older libraries start by
/// themselves. A version marked as weak may be missing (ELF, <c>VER_FLG_WEAK</c> of <c>.gnu.version_r</c>).
/// </summary>
internal static class OlderLibraries
{
    private const string Library = "libLibTorchSharp.so", Version = "GLIBCXX_3.4.32";
    private const int SectionTable = 0x28, SectionSize = 0x3A, SectionCount = 0x3C;
    private const uint VersionsNeeded = 0x6FFFFFFE;
    private const ushort Weak = 2;

    /// <summary>Marks the version in the copy of the library beside this program, once.</summary>
    public static void Allow()
    {
        if (!OperatingSystem.IsLinux()) return;
        foreach (var file in Directory.GetFiles(AppContext.BaseDirectory, Library, SearchOption.AllDirectories))
        {
            var bytes = File.ReadAllBytes(file);
            if (!MarkWeak(bytes)) continue;
            File.WriteAllBytes(file + ".new", bytes); // never into a file that may be shared with the package's folder
            File.Move(file + ".new", file, overwrite: true);
        }
    }

    /// <summary>Whether a mark was missing and has been set. 64-bit little-endian ELF.</summary>
    private static bool MarkWeak(Span<byte> elf)
    {
        var (sections, size, count) = ((int)Long(elf, SectionTable), Short(elf, SectionSize), Short(elf, SectionCount));
        for (var section = 0; section < count; section++)
        {
            var header = elf.Slice(sections + (section * size), size);
            if (Int(header, 4) != VersionsNeeded) continue;
            var names = elf.Slice(sections + ((int)Int(header, 0x28) * size), size);
            return MarkWeak(elf, (int)Long(header, 0x18), (int)Long(names, 0x18));
        }

        return false;
    }

    /// <summary>Walks the files needed (<c>Elfxx_Verneed</c>) and the versions of each (<c>Elfxx_Vernaux</c>).</summary>
    private static bool MarkWeak(Span<byte> elf, int file, int names)
    {
        var marked = false;
        for (int next = 1; next != 0; file += next)
        {
            next = (int)Int(elf, file + 12);
            var version = file + (int)Int(elf, file + 8);
            for (var left = Short(elf, file + 2); left > 0; left--)
            {
                var flags = elf[(version + 4)..];
                if (Text(elf, names + (int)Int(elf, version + 8)) == Version && (Short(flags, 0) & Weak) == 0)
                {
                    BinaryPrimitives.WriteUInt16LittleEndian(flags, (ushort)(Short(flags, 0) | Weak));
                    marked = true;
                }

                version += (int)Int(elf, version + 12);
            }
        }

        return marked;
    }

    private static ushort Short(ReadOnlySpan<byte> bytes, int at) => BinaryPrimitives.ReadUInt16LittleEndian(bytes[at..]);

    private static uint Int(ReadOnlySpan<byte> bytes, int at) => BinaryPrimitives.ReadUInt32LittleEndian(bytes[at..]);

    private static ulong Long(ReadOnlySpan<byte> bytes, int at) => BinaryPrimitives.ReadUInt64LittleEndian(bytes[at..]);

    private static string Text(ReadOnlySpan<byte> bytes, int at) =>
        Encoding.ASCII.GetString(bytes.Slice(at, bytes[at..].IndexOf((byte)0)));
}
