using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Nephos.Hosting.Grpc;
using Nephos.Identity.Wiring;
using Wire = Nephos.Protos.Identity.V1;

namespace Nephos.Identity.Credentials;

internal sealed class Ec2CredentialsGrpcService(Ec2Service keys) : Wire.Ec2Credentials.Ec2CredentialsBase
{
    public override async Task<Wire.Ec2Credential> CreateEc2Credential(Wire.CreateEc2CredentialRequest request, ServerCallContext context)
    {
        var operation = context.GetOperation();
        return ToWire(await keys.CreateAsync(
            operation, request.UserId.NullIfEmpty() ?? operation.UserId, request.ProjectId, request.IdempotencyKey, context.CancellationToken));
    }

    public override async Task<Wire.Ec2Credential> GetEc2Credential(Wire.GetEc2CredentialRequest request, ServerCallContext context) =>
        ToWire(await keys.GetAsync(context.GetOperation(), request.UserId, request.AccessKey, context.CancellationToken));

    public override async Task<Wire.ListEc2CredentialsResponse> ListEc2Credentials(
        Wire.ListEc2CredentialsRequest request, ServerCallContext context) => new()
    {
        Credentials = { (await keys.ListAsync(context.GetOperation(), request.UserId, context.CancellationToken)).Select(ToWire) },
    };

    public override async Task<Empty> DeleteEc2Credential(Wire.DeleteEc2CredentialRequest request, ServerCallContext context)
    {
        await keys.DeleteAsync(context.GetOperation(), request.UserId, request.AccessKey, context.CancellationToken);
        return new Empty();
    }

    public override async Task<Wire.GetSigningKeyResponse> GetSigningKey(Wire.GetSigningKeyRequest request, ServerCallContext context)
    {
        var day = await keys.GetDayKeyAsync(
            context.GetOperation(), request.AccessKey, request.Date, request.Region, request.Service, context.CancellationToken);
        return new Wire.GetSigningKeyResponse
        {
            SigningKey = ByteString.CopyFrom(day.Key),
            UserId = day.Description.User.Id,
            UserName = day.Description.User.Name,
            UserDomainId = day.Description.User.DomainId,
            ProjectId = day.Description.Project!.Id,
            ProjectName = day.Description.Project.Name,
            Roles = { day.Description.Claims.Roles },
            ExpiresAt = Timestamp.FromDateTimeOffset(day.Description.Claims.ExpiresAt),
            Token = day.Token,
        };
    }

    private static Wire.Ec2Credential ToWire(AccessKey key) =>
        new() { AccessKey = key.Access, SecretKey = key.Secret, UserId = key.UserId, ProjectId = key.ProjectId };
}
