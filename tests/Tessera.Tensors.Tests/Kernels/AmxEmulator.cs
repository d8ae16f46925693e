using Iced.Intel;

namespace Tessera.Tensors.Tests.Kernels;

/// <summary>
/// Runs routines that take one pointer in <c>rdi</c> on an emulated thread of a processor with AMX, so that what is assembled
/// for such processors is proven on those without. It decodes the bytes and knows exactly the instructions that the
/// routines use; anything else, and anything that a processor would refuse, is an <see cref="AmxFault"/>.
/// </summary>
internal sealed unsafe class AmxEmulator
{
    private const ulong CodeAddress = 0x1000_0000, ReturnAddress = 0xDEAD_BEEF_0000, StackAddress = 0x7FFF_0000_0000;
    private const int MaxInstructions = 1 << 20;

    private static readonly Register[] s_kept =
    [
        Register.RBX, Register.RBP, Register.R12, Register.R13, Register.R14, Register.R15, Register.RSP];

    private readonly ulong[] _registers = new ulong[16];
    private readonly Dictionary<byte[], Dictionary<ulong, Instruction>> _decoded = [];
    private bool _zero;

    public AmxEmulator(EmulatedMemory memory)
    {
        Memory = memory;
        Tiles = new AmxEmulatedTiles(memory);
    }

    public EmulatedMemory Memory { get; }

    public AmxEmulatedTiles Tiles { get; }

    /// <summary>Runs a routine to its return.</summary>
    public void Run(byte[] code, nint argument)
    {
        if (!_decoded.TryGetValue(code, out var instructions)) _decoded.Add(code, instructions = Decode(code));
        for (var i = 0; i < _registers.Length; i++) _registers[i] = 0xBAD0_0000_0000_0000 + (ulong)i;
        this[Register.RDI] = (ulong)argument;
        this[Register.RSP] = StackAddress;
        var before = s_kept.Select(register => this[register]).ToArray();

        var next = CodeAddress;
        for (var executed = 0; next != ReturnAddress; executed++)
        {
            if (executed == MaxInstructions) throw new AmxFault("the routine does not return");
            if (!instructions.TryGetValue(next, out var instruction))
                throw new AmxFault($"no instruction starts at byte {next - CodeAddress}");
            next = Execute(instruction);
        }

        for (var i = 0; i < s_kept.Length; i++)
            if (this[s_kept[i]] != before[i]) throw new AmxFault($"{s_kept[i]} is not what it was");
    }

    private ulong this[Register register]
    {
        get => register is >= Register.RAX and <= Register.R15
            ? _registers[register - Register.RAX]
            : throw new AmxFault($"{register} is not a register the routines use");
        set
        {
            _ = this[register];
            _registers[register - Register.RAX] = value;
        }
    }

    private static Dictionary<ulong, Instruction> Decode(byte[] code)
    {
        var decoder = Decoder.Create(64, new ByteArrayCodeReader(code), CodeAddress);
        var instructions = new Dictionary<ulong, Instruction>();
        while (decoder.IP < CodeAddress + (ulong)code.Length)
        {
            var instruction = decoder.Decode();
            if (instruction.IsInvalid) throw new AmxFault($"#UD: no instruction at byte {instruction.IP - CodeAddress}");
            instructions.Add(instruction.IP, instruction);
        }

        return instructions;
    }

    /// <summary>Executes one instruction and returns the address of the next.</summary>
    private ulong Execute(in Instruction instruction)
    {
        switch (instruction.Mnemonic)
        {
            case Mnemonic.Ret when instruction.OpCount == 0: return ReturnAddress;
            case Mnemonic.Jmp: return instruction.NearBranchTarget;
            case Mnemonic.Je: return _zero ? instruction.NearBranchTarget : instruction.NextIP;
            case Mnemonic.Jne: return _zero ? instruction.NextIP : instruction.NearBranchTarget;
            case Mnemonic.Ldtilecfg: Tiles.LoadConfiguration(Address(instruction)); break;
            case Mnemonic.Tilerelease: Tiles.Release(); break;
            case Mnemonic.Tilezero: Tiles.Zero(Tile(instruction, 0)); break;
            case Mnemonic.Tileloadd or Mnemonic.Tileloaddt1:
                Tiles.Load(Tile(instruction, 0), Start(instruction), Stride(instruction));
                break;
            case Mnemonic.Tilestored: Tiles.Store(Tile(instruction, 1), Start(instruction), Stride(instruction)); break;
            case Mnemonic.Tdpbf16ps: Tiles.MultiplyBFloat16(Tile(instruction, 0), Tile(instruction, 1), Tile(instruction, 2)); break;
            case Mnemonic.Tdpbssd or Mnemonic.Tdpbusd:
                Tiles.MultiplyBytes(
                    Tile(instruction, 0), Tile(instruction, 1), Tile(instruction, 2), instruction.Mnemonic == Mnemonic.Tdpbssd);
                break;
            default: Calculate(instruction); break;
        }

        return instruction.NextIP;
    }

    private void Calculate(in Instruction instruction)
    {
        var left = instruction.Mnemonic == Mnemonic.Mov ? 0 : this[instruction.Op0Register];
        var right = instruction.OpCount > 1 ? Value(instruction, 1) : 0;
        if (instruction.Mnemonic == Mnemonic.Mov)
        {
            this[instruction.Op0Register] = right;
            return;
        }

        var result = instruction.Mnemonic switch
        {
            Mnemonic.Add => left + right,
            Mnemonic.Sub => left - right,
            Mnemonic.Dec => left - 1,
            Mnemonic.Shl => left << (int)right,
            Mnemonic.Test => left & right,
            _ => throw new AmxFault($"#UD: {instruction} is not an instruction the routines use"),
        };
        _zero = result == 0;
        if (instruction.Mnemonic != Mnemonic.Test) this[instruction.Op0Register] = result;
    }

    private ulong Value(in Instruction instruction, int operand) => instruction.GetOpKind(operand) switch
        {
            OpKind.Register => this[instruction.GetOpRegister(operand)],
            OpKind.Memory when instruction.MemorySize is MemorySize.UInt64 or MemorySize.Int64 => *(ulong*)
                Memory.Read(Address(instruction), sizeof(ulong)),
            OpKind.Immediate8 => instruction.Immediate8,
            OpKind.Immediate8to64 => (ulong)instruction.Immediate8to64,
            OpKind.Immediate32to64 => (ulong)instruction.Immediate32to64,
            OpKind.Immediate64 => instruction.Immediate64,
            _ => throw new AmxFault($"#UD: {instruction} has an operand the routines do not use"),
        };

    private static int Tile(in Instruction instruction, int operand) =>
        instruction.GetOpRegister(operand) is >= Register.TMM0 and <= Register.TMM7 and var tile
            ? tile - Register.TMM0
            : throw new AmxFault($"#UD: {instruction} names no tile");

    /// <summary>Where a tile starts: base and displacement, without the index, which says how far rows are apart.</summary>
    private ulong Start(in Instruction instruction) => this[instruction.MemoryBase] + instruction.MemoryDisplacement64;

    private ulong Stride(in Instruction instruction) =>
        instruction.MemoryIndex == Register.None ? 0 : this[instruction.MemoryIndex] * (ulong)instruction.MemoryIndexScale;

    private ulong Address(in Instruction instruction)
    {
        var index = instruction.MemoryIndex == Register.None ? 0 : this[instruction.MemoryIndex] * (ulong)instruction.MemoryIndexScale;
        return this[instruction.MemoryBase] + index + instruction.MemoryDisplacement64;
    }
}
