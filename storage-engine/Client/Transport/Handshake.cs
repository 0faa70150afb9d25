using System.Net.Sockets;
using System.Security.Cryptography;

namespace Nephos.Client.Transport;

/// <summary>
/// Both sides of a new connection show that they know the cluster's key, without telling it: each hashes the other's nonce with it.
/// </summary>
/// <remarks>
/// Server: 4 bytes magic, 16 bytes nonce. Client: 16 bytes nonce, HMAC-SHA256 of "c", both nonces. Server: HMAC-SHA256 of "s", both nonces.
/// The connection itself is neither encrypted nor signed beyond this: it belongs on a private network or a unix socket.
/// </remarks>
internal static class Handshake
{
    private const int NonceBytes = 16, ProofBytes = 32;
    private static ReadOnlySpan<byte> Magic => "NPS1"u8;

    /// <exception cref="IOException">The other side is no storage process of this cluster.</exception>
    public static async Task AsClientAsync(Socket socket, ReadOnlyMemory<byte> key, CancellationToken cancellationToken)
    {
        var greeting = new byte[Magic.Length + NonceBytes];
        await ReceiveAsync(socket, greeting, cancellationToken);
        if (!greeting.AsSpan(0, Magic.Length).SequenceEqual(Magic))
        {
            throw new IOException("What answers is no storage process.");
        }

        var nonces = new byte[1 + (2 * NonceBytes)];
        greeting.AsSpan(Magic.Length).CopyTo(nonces.AsSpan(1));
        RandomNumberGenerator.Fill(nonces.AsSpan(1 + NonceBytes));
        byte[] answer = [.. nonces.AsSpan(1 + NonceBytes), .. Prove(key, nonces, (byte)'c')];
        await SendAsync(socket, answer, cancellationToken);
        var proof = new byte[ProofBytes];
        await ReceiveAsync(socket, proof, cancellationToken);
        if (!CryptographicOperations.FixedTimeEquals(proof, Prove(key, nonces, (byte)'s')))
        {
            throw new IOException("What answers belongs to another cluster.");
        }
    }

    /// <exception cref="IOException">The other side is no storage process of this cluster.</exception>
    public static async Task AsServerAsync(Socket socket, ReadOnlyMemory<byte> key, CancellationToken cancellationToken)
    {
        var nonces = new byte[1 + (2 * NonceBytes)];
        RandomNumberGenerator.Fill(nonces.AsSpan(1, NonceBytes));
        byte[] greeting = [.. Magic, .. nonces.AsSpan(1, NonceBytes)];
        await SendAsync(socket, greeting, cancellationToken);
        var answer = new byte[NonceBytes + ProofBytes];
        await ReceiveAsync(socket, answer, cancellationToken);
        answer.AsSpan(0, NonceBytes).CopyTo(nonces.AsSpan(1 + NonceBytes));
        if (!CryptographicOperations.FixedTimeEquals(answer.AsSpan(NonceBytes), Prove(key, nonces, (byte)'c')))
        {
            throw new IOException("What calls does not know the cluster's key.");
        }

        await SendAsync(socket, Prove(key, nonces, (byte)'s'), cancellationToken);
    }

    private static byte[] Prove(ReadOnlyMemory<byte> key, byte[] nonces, byte side)
    {
        nonces[0] = side;
        return HMACSHA256.HashData(key.Span, nonces);
    }

    private static async Task SendAsync(Socket socket, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        while (!bytes.IsEmpty)
        {
            bytes = bytes[await socket.SendAsync(bytes, cancellationToken)..];
        }
    }

    private static async Task ReceiveAsync(Socket socket, Memory<byte> bytes, CancellationToken cancellationToken)
    {
        while (!bytes.IsEmpty)
        {
            var count = await socket.ReceiveAsync(bytes, cancellationToken);
            bytes = count > 0 ? bytes[count..] : throw new IOException("The connection ended while it began.");
        }
    }
}
