using System.Buffers.Binary;
using System.IO.Hashing;
using System.Numerics;
using System.Security.Cryptography;

namespace Nephos.ObjectStorage.S3;

/// <summary>One of S3's additional checksums, computed as bytes pass. Not thread-safe.</summary>
internal abstract class S3Checksum : IDisposable
{
    public const string HeaderPrefix = "x-amz-checksum-";

    /// <summary>As the header names it, in lower case.</summary>
    public static readonly string[] Names = ["crc32", "crc32c", "crc64nvme", "sha1", "sha256"];

    public abstract void Append(ReadOnlySpan<byte> data);

    /// <summary>Big-endian, as its base64 form shows it.</summary>
    public abstract byte[] Finish();

    public virtual void Dispose()
    {
    }

    /// <returns>Null when there is no such algorithm.</returns>
    public static S3Checksum? Create(string name) => name.ToLowerInvariant() switch
    {
        "crc32" => new Ieee(),
        "crc32c" => new Castagnoli(),
        "crc64nvme" => new Nvme(),
        "sha1" => new Sha(HashAlgorithmName.SHA1),
        "sha256" => new Sha(HashAlgorithmName.SHA256),
        _ => null,
    };

    private sealed class Ieee : S3Checksum
    {
        private readonly Crc32 _crc = new();

        public override void Append(ReadOnlySpan<byte> data) => _crc.Append(data);

        public override byte[] Finish()
        {
            var bytes = new byte[4];
            BinaryPrimitives.WriteUInt32BigEndian(bytes, _crc.GetCurrentHashAsUInt32());
            return bytes;
        }
    }

    private sealed class Castagnoli : S3Checksum
    {
        private uint _crc = uint.MaxValue;

        public override void Append(ReadOnlySpan<byte> data)
        {
            while (data.Length >= sizeof(ulong))
            {
                _crc = BitOperations.Crc32C(_crc, BinaryPrimitives.ReadUInt64LittleEndian(data));
                data = data[sizeof(ulong)..];
            }
            foreach (var value in data)
            {
                _crc = BitOperations.Crc32C(_crc, value);
            }
        }

        public override byte[] Finish()
        {
            var bytes = new byte[4];
            BinaryPrimitives.WriteUInt32BigEndian(bytes, ~_crc);
            return bytes;
        }
    }

    /// <summary>CRC-64/NVME: reflected polynomial 0x9A6C9329AC4BC9B5, eight bytes a step.</summary>
    private sealed class Nvme : S3Checksum
    {
        private static readonly ulong[][] Tables = MakeTables();
        private ulong _crc = ulong.MaxValue;

        public override void Append(ReadOnlySpan<byte> data)
        {
            var crc = _crc;
            while (data.Length >= 8)
            {
                crc ^= BinaryPrimitives.ReadUInt64LittleEndian(data);
                crc = Tables[7][(byte)crc] ^ Tables[6][(byte)(crc >> 8)] ^ Tables[5][(byte)(crc >> 16)] ^ Tables[4][(byte)(crc >> 24)] ^
                    Tables[3][(byte)(crc >> 32)] ^ Tables[2][(byte)(crc >> 40)] ^ Tables[1][(byte)(crc >> 48)] ^ Tables[0][(byte)(crc >> 56)];
                data = data[8..];
            }
            foreach (var value in data)
            {
                crc = Tables[0][(byte)crc ^ value] ^ (crc >> 8);
            }
            _crc = crc;
        }

        public override byte[] Finish()
        {
            var bytes = new byte[8];
            BinaryPrimitives.WriteUInt64BigEndian(bytes, ~_crc);
            return bytes;
        }

        private static ulong[][] MakeTables()
        {
            var tables = new ulong[8][];
            for (var table = 0; table < tables.Length; table++)
            {
                tables[table] = new ulong[256];
                for (var index = 0; index < 256; index++)
                {
                    if (table == 0)
                    {
                        var crc = (ulong)index;
                        for (var bit = 0; bit < 8; bit++)
                        {
                            crc = (crc & 1) != 0 ? (crc >> 1) ^ 0x9A6C9329AC4BC9B5 : crc >> 1;
                        }
                        tables[0][index] = crc;
                    }
                    else
                    {
                        var before = tables[table - 1][index];
                        tables[table][index] = tables[0][(byte)before] ^ (before >> 8);
                    }
                }
            }
            return tables;
        }
    }

    private sealed class Sha(HashAlgorithmName name) : S3Checksum
    {
        private readonly IncrementalHash _hash = IncrementalHash.CreateHash(name);

        public override void Append(ReadOnlySpan<byte> data) => _hash.AppendData(data);

        public override byte[] Finish() => _hash.GetHashAndReset();

        public override void Dispose() => _hash.Dispose();
    }
}
