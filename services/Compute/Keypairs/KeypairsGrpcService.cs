using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Nephos.Hosting.Grpc;
using Nephos.Kernel;
using Nephos.Kernel.State;
using Wire = Nephos.Protos.Compute.V1;

namespace Nephos.Compute.Keypairs;

internal sealed class KeypairsGrpcService(IStateStore store, KeypairService keypairs) : Wire.Keypairs.KeypairsBase
{
    public override async Task<Wire.CreateKeypairResponse> CreateKeypair(Wire.CreateKeypairRequest request, ServerCallContext context)
    {
        var (pair, privateKey) = await keypairs.CreateAsync(context.GetOperation(), new KeypairWish(
            request.Name,
            request.Type == Wire.KeypairType.X509 ? KeypairType.X509 : KeypairType.Ssh,
            Given(request.PublicKey),
            request.Algorithm == Wire.KeyAlgorithm.Ed25519 ? KeyAlgorithm.Ed25519 : KeyAlgorithm.Rsa,
            Given(request.UserId),
            Given(request.IdempotencyKey)), context.CancellationToken);
        return new Wire.CreateKeypairResponse { Keypair = ToWire(pair), PrivateKey = privateKey ?? "" };
    }

    public override async Task<Wire.Keypair> GetKeypair(Wire.GetKeypairRequest request, ServerCallContext context) =>
        ToWire(await keypairs.GetAsync(context.GetOperation(), request.Name, Given(request.UserId), context.CancellationToken));

    public override async Task<Wire.ListKeypairsResponse> ListKeypairs(Wire.ListKeypairsRequest request, ServerCallContext context)
    {
        var all = await keypairs.ListAsync(context.GetOperation(), Given(request.UserId), context.CancellationToken);
        var page = Paging.Cut(all.OrderBy(pair => pair.Name, StringComparer.Ordinal), pair => pair.Name, request.PageToken, request.PageSize);
        return new Wire.ListKeypairsResponse { Keypairs = { page.Items.Select(ToWire) }, NextPageToken = page.NextToken ?? "" };
    }

    public override async Task<Wire.DeleteKeypairResponse> DeleteKeypair(Wire.DeleteKeypairRequest request, ServerCallContext context)
    {
        await keypairs.DeleteAsync(context.GetOperation(), request.Name, Given(request.UserId), context.CancellationToken);
        return new Wire.DeleteKeypairResponse();
    }

    public override Task WatchKeypairs(
        Wire.WatchKeypairsRequest request, IServerStreamWriter<Wire.KeypairEvent> responseStream, ServerCallContext context) =>
        responseStream.SendListAsync(
            store,
            Keypair.Table.Name,
            async () => (await keypairs.ListAsync(context.GetOperation(), Given(request.UserId), context.CancellationToken)).Select(ToWire),
            pair => pair.Name,
            pair => new Wire.KeypairEvent { Changed = pair },
            id => new Wire.KeypairEvent { Deleted = id },
            () => new Wire.KeypairEvent { Synchronized = true },
            context.CancellationToken);

    private static string? Given(string text) => text.Length == 0 ? null : text;

    private static Wire.Keypair ToWire(Keypair pair) => new()
    {
        Id = pair.Number,
        UserId = pair.UserId,
        Name = pair.Name,
        Type = pair.Type == KeypairType.X509 ? Wire.KeypairType.X509 : Wire.KeypairType.Ssh,
        PublicKey = pair.PublicKey,
        Fingerprint = pair.Fingerprint,
        CreatedAt = pair.CreatedAt.ToTimestamp(),
    };
}
