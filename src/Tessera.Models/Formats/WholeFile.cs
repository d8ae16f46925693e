namespace Tessera.Models.Formats;

/// <summary>Writes a file that appears under its name, over one that may be there, only when it is whole and on the disk.</summary>
internal static class WholeFile
{
    private const int Piece = 1 << 18;

    /// <summary>Writes beside the file, as <c>.tmp</c>, and gives that its name at the end; where something fails, it is removed.</summary>
    /// <exception cref="IOException">It cannot be written, or another process is at it; what was there before is still there.</exception>
    public static void Write(string path, Action<Stream> write)
    {
        var unfinished = path + ".tmp";
        // Not within try: where this fails since another process writes that file, it must stay.
        var stream = new FileStream(unfinished, FileMode.Create, FileAccess.Write, FileShare.None, bufferSize: Piece);
        try
        {
            using (stream)
            {
                write(stream);
                stream.Flush(flushToDisk: true);
            }

            File.Move(unfinished, path, overwrite: true);
        }
        catch
        {
            File.Delete(unfinished);
            throw;
        }
    }
}
