using System.Security.Cryptography;
using System.Text.Json;
using Tessera.Models.Formats;
using Tessera.Nn;
using Tessera.Tensors;
using Tessera.Training.Optimizers;

namespace Tessera.Training.Checkpoints;

/// <summary>Writes the files of one checkpoint, each to the disk and hashed on the way; given by
/// <see cref="CheckpointStore.Save"/>.</summary>
internal sealed class CheckpointWriter
{
    private readonly string _folder;
    private readonly Action<string, string> _beforeOperation;
    private readonly SortedDictionary<string, CheckpointFormat.FileRecord> _files = new(StringComparer.Ordinal);
    private long _currentBytes;

    internal CheckpointWriter(string folder, Action<string, string> beforeOperation) =>
        (_folder, _beforeOperation) = (folder, beforeOperation);

    /// <summary>The file being written, for messages.</summary>
    internal string CurrentFile { get; private set; } = "";

    /// <summary>The size of the files written and what is known of the one being written.</summary>
    internal long BytesNeeded => _files.Values.Sum(file => file.Bytes) + _currentBytes;

    /// <summary>Writes the parameters of a model, by their full names, to <c>model.safetensors</c>.</summary>
    public void Model(Module model) => Tensors(CheckpointFormat.Model, Weights.Writer(model));

    /// <summary>Writes what optimizers remember to <c>optimizer.safetensors</c>.</summary>
    /// <param name="state">That of one (<see cref="Optimizers.Optimizer.State"/>), or of several together.</param>
    public void Optimizer(IReadOnlyList<(string Name, Tensor Tensor)> state) => Tensors(CheckpointFormat.Optimizer, Weights.Writer(state));

    /// <summary>Writes the state of training (place in the data, random state, phase …) to <c>state.json</c>.</summary>
    /// <typeparam name="T">A record that <c>System.Text.Json</c> can write, or a <see cref="JsonElement"/>.</typeparam>
    public void State<T>(T state) => Json(CheckpointFormat.State, state);

    /// <summary>Writes tensors to a file of another name.</summary>
    public void Tensors(string name, SafetensorsWriter tensors) => Write(name, tensors.Write, tensors.ByteCount);

    /// <summary>Writes any other file, such as a copy of the recipe.</summary>
    /// <param name="name">A file name without folders.</param>
    /// <param name="write">Writes the content.</param>
    /// <exception cref="ArgumentException">The name has folders, or there is such a file in this checkpoint.</exception>
    public void Write(string name, Action<Stream> write) => Write(name, write, bytes: 0);

    /// <summary>Writes what makes the folder a checkpoint and brings its names to the disk.</summary>
    internal void Finish(long step, double? score)
    {
        Json(
            CheckpointFormat.Summary,
            new CheckpointFormat.SummaryRecord(step, score is { } value && double.IsFinite(value) ? value : null));
        Json(CheckpointFormat.Hashes, new SortedDictionary<string, CheckpointFormat.FileRecord>(_files, StringComparer.Ordinal));
        _beforeOperation("flush", _folder);
        FolderFlush.ToDisk(_folder);
    }

    private void Json<T>(string name, T value) => Write(name, stream => JsonSerializer.Serialize(stream, value, CheckpointFormat.Json));

    /// <param name="bytes">The file's size where it is known beforehand, so that a full disk is noticed at once; else 0.</param>
    private void Write(string name, Action<Stream> write, long bytes)
    {
        if (!CheckpointFormat.IsFileName(name)) throw new ArgumentException($"'{name}' is not a file name without folders", nameof(name));
        if (_files.ContainsKey(name)) throw new ArgumentException($"the checkpoint has a file named '{name}' already", nameof(name));
        (CurrentFile, _currentBytes) = (name, bytes);
        var path = Path.Combine(_folder, name);
        _beforeOperation("create", path);
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, PreallocationSize = bytes };
        using var file = new FileStream(path, options);
        using var hashed = new HashedStream(file, written =>
        {
            _currentBytes = Math.Max(_currentBytes, written);
            _beforeOperation("write", path);
        });
        write(hashed);
        file.Flush();
        _beforeOperation("flush", path);
        RandomAccess.FlushToDisk(file.SafeFileHandle);
        _files.Add(name, new CheckpointFormat.FileRecord(hashed.Length, hashed.Hash()));
        _currentBytes = 0;
    }

    /// <summary>Hashes and counts what it passes on.</summary>
    /// <param name="inner">Where it goes.</param>
    /// <param name="beforeWrite">Told the count after each write, before it.</param>
    private sealed class HashedStream(Stream inner, Action<long> beforeWrite) : Stream
    {
        private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        private long _written;

        public override bool CanRead => false;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => _written;

        public override long Position { get => _written; set => throw new NotSupportedException(); }

        public string Hash() => Convert.ToHexStringLower(_hash.GetHashAndReset());

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            beforeWrite(_written + buffer.Length);
            inner.Write(buffer);
            _hash.AppendData(buffer);
            _written += buffer.Length;
        }

        public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

        public override void Flush() => inner.Flush();

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        protected override void Dispose(bool disposing)
        {
            if (disposing) _hash.Dispose();
            base.Dispose(disposing);
        }
    }
}
